/** What client-go makes of an answer that is no success (apimachinery `errors.NewGenericServerResponse`). */
import { goQuote } from "../../../k8s/go-format.ts";
import type { HttpResponse } from "../../../k8s/http-response.ts";

const TEXTS: ReadonlyMap<number, string> = new Map([
  [400, "the server rejected our request for an unknown reason"],
  [401, "the server has asked for the client to provide credentials"],
  [404, "the server could not find the requested resource"],
  [405, "the server does not allow this method on the requested resource"],
  [409, "the server reported a conflict"],
  [410, "the server no longer supports the requested resource"],
  [413, "the request entity is too large"],
  [422, "the server rejected our request due to an error in our request"],
  [429, "the server has received too many requests and has asked us to try again later"],
  [503, "the server is currently unable to handle the request"],
  [
    504,
    "the server was unable to return a response in the time allotted, but may still be processing the request",
  ],
]);

/** Undefined for a success. A redirect is none: a webhook is where its configuration says. */
export function serverErrorText({ status, headers, body }: HttpResponse): string | undefined {
  if (status >= 200 && status <= 206) return undefined;
  const known = TEXTS.get(status);
  if (known !== undefined) return known;
  const type = headers.get("content-type") ?? "";
  const said = type === "" || type.startsWith("text/") ? body.trim() : "unknown";
  if (status === 403 || status === 406 || status === 415) return said;
  if (status >= 500)
    return `an error on the server (${goQuote(said)}) has prevented the request from succeeding`;
  return `the server responded with the status code ${status} but did not return more details`;
}
