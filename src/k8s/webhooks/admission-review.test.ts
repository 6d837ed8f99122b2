import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { admissionReview, readReviewResponse, WebhookFailure } from "./admission-review.ts";
import type { AdmissionAttributes } from "./match-webhook.ts";
import { WebhookDenial } from "./webhook-denial.ts";

const REVIEW = { uid: "u1", version: "v1" } as const;
const BETA = { uid: "u1", version: "v1beta1" } as const;

function answer(response: object | undefined, identity: object = {}): string {
  return JSON.stringify({
    apiVersion: "admission.k8s.io/v1",
    kind: "AdmissionReview",
    ...identity,
    response,
  });
}

function base64(value: unknown): string {
  return Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64");
}

const PATCH = [{ op: "add", path: "/a", value: 1 }];
const PATCHED = { uid: "u1", allowed: true, patchType: "JSONPatch", patch: base64(PATCH) };

describe("the answer of a webhook", () => {
  test("is read", () => {
    const response = { ...PATCHED, warnings: ["careful", 7], auditAnnotations: { a: "b" } };
    expect(readReviewResponse(answer(response), REVIEW, true)).toEqual({
      allowed: true,
      warnings: ["careful"],
      patch: PATCH,
    });
    const denial = { uid: "u1", allowed: false, status: { code: 403, message: "no" } };
    expect(readReviewResponse(answer(denial), REVIEW, false)).toEqual({
      allowed: false,
      warnings: [],
      status: { code: 403, message: "no" },
    });
  });

  test.each<[string, object]>([
    ["an empty patch", { ...PATCHED, patch: base64([]) }],
    ["a patch of a denial", { ...PATCHED, allowed: false }],
  ])("has no patch where there is %s", (_, response) => {
    expect(readReviewResponse(answer(response), REVIEW, true).patch).toBeUndefined();
  });

  const invalid = "received invalid webhook response: ";
  const failed = "failed to call webhook: ";
  test.each<[string, string, boolean?]>([
    ["", `${failed}couldn't get version/kind; json parse error: unexpected end of JSON input`],
    [
      "hello",
      `${failed}couldn't get version/kind; json parse error: invalid character 'h' looking for beginning of value`,
    ],
    ["[]", `${failed}couldn't get version/kind; json parse error: json: cannot unmarshal`],
    [answer(undefined), `${invalid}webhook response was absent`],
    [answer({ allowed: true }), `${invalid}expected response.uid="u1", got ""`],
    [answer({ uid: "u2", allowed: true }), `${invalid}expected response.uid="u1", got "u2"`],
    [
      answer({ uid: "u1" }, { kind: "Review" }),
      `${invalid}expected webhook response of admission.k8s.io/v1, Kind=AdmissionReview, got admission.k8s.io/v1, Kind=Review`,
    ],
    [
      answer({ uid: "u1" }, { kind: undefined, apiVersion: undefined }),
      `${invalid}expected webhook response of admission.k8s.io/v1, Kind=AdmissionReview, got /, Kind=`,
    ],
    [
      answer({ uid: "u1" }, { apiVersion: "admission.k8s.io/v1beta1" }),
      `${failed}converting (v1beta1.AdmissionReview) to (v1.AdmissionReview): unknown conversion`,
    ],
    [
      answer({ ...PATCHED, patchType: undefined }),
      `${invalid}webhook returned response.patch but not response.patchType`,
    ],
    [
      answer({ ...PATCHED, patch: undefined }),
      `${invalid}webhook returned response.patchType but not response.patch`,
    ],
    [answer({ ...PATCHED, patchType: "" }), `${invalid}webhook returned invalid response.patchType of ""`],
    [answer({ ...PATCHED, patchType: "Merge" }), 'unsupported patch type "Merge"'],
    [answer(PATCHED), `${invalid}validating webhook may not return response.patch`, false],
    [
      answer({ ...PATCHED, patch: undefined }),
      `${invalid}validating webhook may not return response.patchType`,
      false,
    ],
    [answer({ ...PATCHED, patch: "[{}]" }), `${failed}illegal base64 data at input byte 0`],
    [
      answer({ ...PATCHED, patch: base64("{") }),
      "received undecodable patch in webhook response: unexpected end of JSON input",
    ],
    [
      answer({ ...PATCHED, patch: base64({}) }),
      "received undecodable patch in webhook response: json: cannot unmarshal object",
    ],
  ])("%s is none", (text, message, isMutating = true) => {
    const read = () => readReviewResponse(text, REVIEW, isMutating);
    expect(read).toThrow(WebhookFailure);
    expect(read).toThrow(message);
  });

  test("of the beta API may leave out who it is", () => {
    const text = JSON.stringify({ response: { allowed: true, patch: base64(PATCH) } });
    expect(readReviewResponse(text, BETA, true)).toEqual({ allowed: true, warnings: [], patch: PATCH });
    expect(readReviewResponse(text, BETA, false)).toEqual({ allowed: true, warnings: [] });
  });

  test("is read or refused, whatever it is", () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.json(),
          fc.object().map((response) => answer(response)),
        ),
        (text) => {
          try {
            readReviewResponse(text, REVIEW, true);
          } catch (error) {
            expect(error).toBeInstanceOf(WebhookFailure);
          }
        },
      ),
    );
  });
});

test("a webhook is told everything about the request, and the object in the version of its rule", () => {
  const kind = { group: "shop", version: "v1", kind: "Shop" };
  const resource = { group: "shop", version: "v1", resource: "shops" };
  const attributes: AdmissionAttributes = {
    operation: "UPDATE",
    resource,
    subresource: "status",
    kind,
    name: "n",
    namespace: "ns",
    object: { apiVersion: "shop/v1", kind: "Shop", metadata: { name: "n" } },
    options: { kind: "UpdateOptions", apiVersion: "meta.k8s.io/v1" },
    dryRun: true,
    user: { username: "jane", groups: ["g"], uid: "7", extra: { scopes: ["a"] } },
  };
  const shown = { kind: { ...kind, version: "v2" }, resource: { ...resource, version: "v2" } };
  expect(admissionReview(REVIEW, attributes, shown)).toEqual({
    kind: "AdmissionReview",
    apiVersion: "admission.k8s.io/v1",
    request: {
      uid: "u1",
      kind: { ...kind, version: "v2" },
      resource: { ...resource, version: "v2" },
      subResource: "status",
      requestKind: kind,
      requestResource: resource,
      requestSubResource: "status",
      name: "n",
      namespace: "ns",
      operation: "UPDATE",
      userInfo: { username: "jane", groups: ["g"], uid: "7", extra: { scopes: ["a"] } },
      object: { apiVersion: "shop/v2", kind: "Shop", metadata: { name: "n" } },
      oldObject: null,
      dryRun: true,
      options: { kind: "UpdateOptions", apiVersion: "meta.k8s.io/v1" },
    },
  });
});

describe("a denial", () => {
  const denied = 'admission webhook "w" denied the request';
  test.each<[object, object]>([
    [{}, { message: `${denied} without explanation`, code: 400 }],
    [{ message: "no" }, { message: `${denied}: no`, code: 400 }],
    [
      { reason: "Forbidden", code: 403 },
      { message: `${denied}: Forbidden`, reason: "Forbidden", code: 403 },
    ],
    [
      { reason: "Odd", message: "no", code: 418 },
      { message: `${denied}: no`, reason: "Odd", code: 418 },
    ],
    [
      { code: 200, status: "Success" },
      { message: `${denied} without explanation`, code: 400 },
    ],
    [{ code: 9999 }, { message: `${denied} without explanation`, code: 400 }],
    [
      { details: { name: "p", retryAfterSeconds: "1\r\nSet-Cookie: a=b" } },
      { message: `${denied} without explanation`, code: 400, details: { name: "p" } },
    ],
    [
      { code: 429, details: { retryAfterSeconds: 2 } },
      { message: `${denied} without explanation`, code: 429, details: { retryAfterSeconds: 2 } },
    ],
    [
      { message: "no", details: { causes: [{ field: "spec", message: "bad" }] } },
      { message: `${denied}: no`, details: { causes: [{ field: "spec", message: "bad" }] }, code: 400 },
    ],
  ])("of %j", (status, answered) => {
    const denial = new WebhookDenial("w", { ...status });
    expect(denial.toStatus()).toEqual({
      kind: "Status",
      apiVersion: "v1",
      metadata: {},
      status: "Failure",
      ...answered,
    });
    expect(denial.httpCode).toBe(denial.toStatus()["code"] as number);
  });
});
