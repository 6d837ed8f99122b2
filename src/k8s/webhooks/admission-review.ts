/** What a webhook is asked and what it answers: `AdmissionReview` (apiserver `admission/plugin/webhook/request`). */
import { apiVersionOf } from "../catalogue.ts";
import { goQuote } from "../go-format.ts";
import { JsonTextError, parseJsonText } from "../json-text.ts";
import { isJsonObject, type JsonObject } from "../../lib/frozen-json.ts";
import type { KubeObject } from "../object.ts";
import type { AdmissionAttributes, Invocation, KindId } from "./match-webhook.ts";
import type { ReviewVersion } from "./webhook.ts";

const GROUP = "admission.k8s.io";
const KIND = "AdmissionReview";

/** The webhook could not be asked, or what it said is no answer: its failure policy decides. The message is the real server's. */
export class WebhookFailure extends Error {
  override readonly name = "WebhookFailure";
}

export interface ReviewRequest {
  /** Comes back with the answer. */
  readonly uid: string;
  readonly version: ReviewVersion;
}

/** The body to send. */
export function admissionReview(
  { uid, version }: ReviewRequest,
  attributes: AdmissionAttributes,
  invocation: Pick<Invocation, "resource" | "kind">,
): JsonObject {
  const { object = null, oldObject = null } = shownObjects(attributes, invocation);
  const request = { uid, ...admissionRequest(attributes, invocation), object, oldObject };
  return { kind: KIND, apiVersion: `${GROUP}/${version}`, request };
}

/** The objects in the version of the webhook's rule. */
export function shownObjects(
  { object, oldObject, kind }: AdmissionAttributes,
  shown: Pick<Invocation, "kind">,
): Pick<AdmissionAttributes, "object" | "oldObject"> {
  return {
    ...(object === undefined ? {} : { object: asKind(object, shown.kind, kind) }),
    ...(oldObject === undefined ? {} : { oldObject: asKind(oldObject, shown.kind, kind) }),
  };
}

/** All of the request but its objects. */
export function admissionRequest(
  attributes: AdmissionAttributes,
  { resource, kind }: Pick<Invocation, "resource" | "kind">,
): JsonObject {
  const { subresource, name, namespace, operation, user, dryRun, options } = attributes;
  const sub = subresource === "" ? {} : { subResource: subresource };
  const requestSub = subresource === "" ? {} : { requestSubResource: subresource };
  return {
    kind,
    resource,
    ...sub,
    requestKind: attributes.kind,
    requestResource: attributes.resource,
    ...requestSub,
    ...(name === "" ? {} : { name }),
    ...(namespace === "" ? {} : { namespace }),
    operation,
    userInfo: {
      username: user.username,
      ...(user.uid === undefined ? {} : { uid: user.uid }),
      groups: user.groups,
      ...(user.extra === undefined ? {} : { extra: user.extra }),
    },
    dryRun,
    options: options ?? null,
  };
}

/** Versions of one resource differ in nothing but their name. */
function asKind(object: KubeObject, wanted: KindId, own: KindId): KubeObject {
  return wanted.version === own.version ? object : { ...object, apiVersion: apiVersionOf(wanted) };
}

export interface ReviewResponse {
  readonly allowed: boolean;
  /** Why not. */
  readonly status?: JsonObject;
  readonly warnings: readonly string[];
  /** Operations of a JSON patch; there only where there are some. */
  readonly patch?: readonly unknown[];
}

/** `VerifyAdmissionResponse`. Throws `WebhookFailure` for what is no answer to the request. */
export function readReviewResponse(
  text: string,
  { uid, version }: ReviewRequest,
  isMutating: boolean,
): ReviewResponse {
  const review = parseReview(text, version);
  const { response } = review;
  if (!isJsonObject(response)) throw invalidResponse("webhook response was absent");
  if (version === "v1") checkIdentity(review, response, uid);
  const patch = patchOf(response, version, isMutating);
  const { allowed, status, warnings } = response;
  return {
    allowed: allowed === true,
    ...(isJsonObject(status) ? { status } : {}),
    warnings: Array.isArray(warnings) ? warnings.filter((one) => typeof one === "string") : [],
    ...(patch === undefined ? {} : { patch }),
  };
}

function invalidResponse(why: string): WebhookFailure {
  return new WebhookFailure(`received invalid webhook response: ${why}`);
}

function parseReview(text: string, version: ReviewVersion): JsonObject {
  let value: unknown;
  try {
    ({ value } = parseJsonText(text));
  } catch (error) {
    if (!(error instanceof JsonTextError)) throw error;
    throw new WebhookFailure(
      `failed to call webhook: couldn't get version/kind; json parse error: ${error.message}`,
    );
  }
  if (!isJsonObject(value)) {
    throw new WebhookFailure(
      "failed to call webhook: couldn't get version/kind; json parse error: json: cannot unmarshal into Go value of type struct",
    );
  }
  const { apiVersion, kind } = value;
  const isOtherVersion =
    kind === KIND &&
    apiVersion !== `${GROUP}/${version}` &&
    /^admission\.k8s\.io\/v1(beta1)?$/.test(asText(apiVersion));
  if (isOtherVersion) {
    const given = String(apiVersion).slice(GROUP.length + 1);
    throw new WebhookFailure(
      `failed to call webhook: converting (${given}.${KIND}) to (${version}.${KIND}): unknown conversion`,
    );
  }
  return value;
}

function checkIdentity({ apiVersion, kind }: JsonObject, response: JsonObject, uid: string): void {
  const given = typeof response["uid"] === "string" ? response["uid"] : "";
  if (given !== uid) throw invalidResponse(`expected response.uid=${goQuote(uid)}, got ${goQuote(given)}`);
  if (apiVersion === `${GROUP}/v1` && kind === KIND) return;
  const [version = "", group = ""] = asText(apiVersion).split("/").toReversed();
  throw invalidResponse(
    `expected webhook response of ${GROUP}/v1, Kind=${KIND}, got ${group}/${version}, Kind=${asText(kind)}`,
  );
}

function asText(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function patchOf(
  response: JsonObject,
  version: ReviewVersion,
  isMutating: boolean,
): readonly unknown[] | undefined {
  const { patchType } = response;
  const patch = asText(response["patch"]);
  const hasType = patchType !== undefined && patchType !== null;
  if (version === "v1") checkPatch({ hasPatch: patch !== "", hasType, patchType, isMutating });
  if (!isMutating || patch === "" || response["allowed"] !== true) return undefined;
  if (version === "v1" && patchType !== "JSONPatch")
    throw new WebhookFailure(`unsupported patch type ${goQuote(asText(patchType))}`);
  return decodePatch(patch);
}

interface GivenPatch {
  readonly hasPatch: boolean;
  readonly hasType: boolean;
  readonly patchType: unknown;
  readonly isMutating: boolean;
}

function checkPatch({ hasPatch, hasType, patchType, isMutating }: GivenPatch): void {
  if (!isMutating) {
    if (hasPatch) throw invalidResponse("validating webhook may not return response.patch");
    if (hasType) throw invalidResponse("validating webhook may not return response.patchType");
    return;
  }
  if (hasPatch && !hasType)
    throw invalidResponse("webhook returned response.patch but not response.patchType");
  if (!hasPatch && hasType)
    throw invalidResponse("webhook returned response.patchType but not response.patch");
  if (hasType && patchType === "") throw invalidResponse('webhook returned invalid response.patchType of ""');
}

function decodePatch(patch: string): readonly unknown[] | undefined {
  const refused = (why: string) =>
    new WebhookFailure(`received undecodable patch in webhook response: ${why}`);
  const base64 = /^[A-Za-z\d+/\r\n]*={0,2}[\r\n]*$/.test(patch);
  if (!base64) {
    const at = patch.search(/[^A-Za-z\d+/=\r\n]/);
    throw new WebhookFailure(`failed to call webhook: illegal base64 data at input byte ${Math.max(at, 0)}`);
  }
  try {
    const { value } = parseJsonText(Buffer.from(patch, "base64").toString("utf8"));
    if (!Array.isArray(value)) {
      throw refused("json: cannot unmarshal object into Go value of type jsonpatch.Patch");
    }
    return value.length === 0 ? undefined : value;
  } catch (error) {
    if (error instanceof JsonTextError) throw refused(error.message);
    throw error;
  }
}
