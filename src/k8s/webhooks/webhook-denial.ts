/** A webhook's no, with the code, the reason and the words that it has chosen itself. */
import { goQuote } from "../go-format.ts";
import { isJsonObject, type JsonObject } from "../../lib/frozen-json.ts";
import { StatusError, type StatusReason } from "../status-error.ts";

/** What it counts as for those who switch on reasons; clients are shown the webhook's own. */
const REASONS: ReadonlyMap<number, StatusReason> = new Map([
  [400, "BadRequest"],
  [401, "Unauthorized"],
  [404, "NotFound"],
  [409, "Conflict"],
  [413, "RequestEntityTooLarge"],
  [422, "Invalid"],
  [429, "TooManyRequests"],
  [500, "InternalError"],
  [503, "ServiceUnavailable"],
  [504, "Timeout"],
]);

export class WebhookDenial extends StatusError {
  readonly #code: number;
  readonly #status: JsonObject;

  /** `result`: the response's `status`, which may lack anything (apiserver `webhookerrors.ToStatusErr`). */
  constructor(webhook: string, result: JsonObject = {}) {
    const { code, reason, message, details } = result;
    // No answer of success may go along with a no.
    const httpCode = typeof code === "number" && code >= 400 && code <= 599 ? Math.trunc(code) : 400;
    super(
      REASONS.get(httpCode) ?? "Forbidden",
      `admission webhook ${goQuote(webhook)} denied the request${whyOf(message, reason)}`,
      isJsonObject(details) ? readableDetails(details) : undefined,
    );
    this.name = "WebhookDenial";
    this.#code = httpCode;
    this.#status = typeof reason === "string" && reason !== "" ? { reason } : {};
  }

  override get httpCode(): number {
    return this.#code;
  }

  override toStatus(): Record<string, unknown> {
    const { reason: _, ...status } = super.toStatus();
    return { ...status, ...this.#status, code: this.#code };
  }
}

/** What goes into a header has to be a number. */
function readableDetails({ retryAfterSeconds, ...details }: JsonObject): JsonObject {
  return Number.isInteger(retryAfterSeconds) ? { ...details, retryAfterSeconds } : details;
}

function whyOf(message: unknown, reason: unknown): string {
  if (typeof message === "string" && message !== "") return `: ${message}`;
  return typeof reason === "string" && reason !== "" ? `: ${reason}` : " without explanation";
}
