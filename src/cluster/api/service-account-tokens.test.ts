import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { ManualClock } from "../../testing/manual-clock.ts";
import { type Json, startTestApi, type TestApi } from "./api.test-support.ts";
import { ISSUER, secretTokenIssuer, tokenIssuer } from "./service-account-tokens.ts";

const TOKENS = "/api/v1/namespaces/default/serviceaccounts/app/token";
const REVIEWS = "/apis/authentication.k8s.io/v1/tokenreviews";

let api: TestApi;
let clock: ManualClock;

beforeEach(async () => {
  clock = new ManualClock(Date.now());
  api = await startTestApi({ clock });
  for (const name of ["app", "other"]) {
    api.store.create("serviceaccounts", {
      apiVersion: "v1",
      kind: "ServiceAccount",
      metadata: { name, namespace: "default" },
    });
  }
});

afterEach(async () => {
  expect(api.bugs).toEqual([]);
  await api[Symbol.asyncDispose]();
});

function createPod(name: string, serviceAccountName: string): string {
  const pod = api.store.create("pods", {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace: "default" },
    spec: { serviceAccountName, containers: [{ name: "main", image: "x" }] },
  });
  return pod.metadata.uid ?? "";
}

const request = (spec: object, headers?: Readonly<Record<string, string>>) =>
  api.call(TOKENS, { method: "POST", body: { spec }, ...(headers === undefined ? {} : { headers }) });

async function tokenFor(spec: object = {}): Promise<string> {
  const { code, body } = await request(spec);
  expect(code).toBe(201);
  return (body["status"] as { readonly token: string }).token;
}

async function review(token: string, audiences?: readonly string[]): Promise<Json> {
  const spec = { token, ...(audiences === undefined ? {} : { audiences }) };
  const { body } = await api.call(REVIEWS, { method: "POST", body: { spec } });
  return body["status"] as Json;
}

function claimsOf(token: string): Json {
  return JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString()) as Json;
}

describe("serviceaccounts/token", () => {
  test("signs what the real server signs, for an hour and the API by default", async () => {
    const { body } = await request({});
    const now = Math.floor(clock.now() / 1000);
    const { token, expirationTimestamp } = body["status"] as Record<string, string>;
    const uid = api.store.get("serviceaccounts", { namespace: "default", name: "app" })?.metadata.uid;
    expect(claimsOf(token ?? "")).toEqual({
      aud: [ISSUER],
      exp: now + 3600,
      iat: now,
      iss: ISSUER,
      jti: expect.any(String),
      "kubernetes.io": { namespace: "default", serviceaccount: { name: "app", uid } },
      nbf: now,
      sub: "system:serviceaccount:default:app",
    });
    expect(Date.parse(expirationTimestamp ?? "")).toBe((now + 3600) * 1000);
    expect(body["spec"]).toEqual({ audiences: [ISSUER], expirationSeconds: 3600 });
  });

  test.each<[object, number, string]>([
    [
      { expirationSeconds: 599 },
      422,
      'TokenRequest.authentication.k8s.io "" is invalid: spec.expirationSeconds: Invalid value: 599: may not specify a duration less than 10 minutes',
    ],
    [
      { expirationSeconds: 2 ** 32 + 1 },
      422,
      "spec.expirationSeconds: Invalid value: 4294967297: may not specify a duration larger than 2^32 seconds",
    ],
    [
      { boundObjectRef: { kind: "ConfigMap", apiVersion: "v1", name: "x" } },
      400,
      "cannot bind token to object of type /v1, Kind=ConfigMap",
    ],
    [{ boundObjectRef: { kind: "Pod", apiVersion: "v1", name: "none" } }, 404, 'pods "none" not found'],
    [
      { boundObjectRef: { kind: "Pod", apiVersion: "v1", name: "foreign" } },
      400,
      'cannot bind token for serviceaccount "app" to pod running with different serviceaccount name.',
    ],
    [
      { boundObjectRef: { kind: "Pod", apiVersion: "v1", name: "own", uid: "old" } },
      409,
      "the UID in the bound object reference (old) does not match the UID in record. The object might have been deleted and then recreated",
    ],
  ])("refuses %j", async (spec, code, message) => {
    createPod("foreign", "other");
    createPod("own", "app");
    const answer = await request(spec);
    expect([answer.code, answer.body["message"]]).toEqual([code, expect.stringContaining(message)]);
  });

  test("of an account that is not there is not found", async () => {
    const path = TOKENS.replace("app", "none");
    const { code, body } = await api.call(path, { method: "POST", body: { spec: {} } });
    expect([code, body["message"]]).toEqual([404, 'serviceaccounts "none" not found']);
  });
});

describe("a token of a service account", () => {
  test("says who it is, and ends with its pod a minute after that", async () => {
    const uid = createPod("own", "app");
    const token = await tokenFor({ boundObjectRef: { kind: "Pod", apiVersion: "v1", name: "own" } });
    expect(await review(token)).toMatchObject({
      authenticated: true,
      audiences: [ISSUER],
      user: {
        username: "system:serviceaccount:default:app",
        groups: ["system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated"],
        extra: {
          "authentication.kubernetes.io/pod-name": ["own"],
          "authentication.kubernetes.io/pod-uid": [uid],
        },
      },
    });
    api.store.delete("pods", { namespace: "default", name: "own" }, { gracePeriodSeconds: 0 });
    expect(await review(token)).toEqual({ user: {}, error: "the token is bound to a pod that is gone" });
  });

  test("ends with its time, and with its account", async () => {
    const token = await tokenFor({ expirationSeconds: 600 });
    clock.advance(599_000);
    expect(await review(token)).toMatchObject({ authenticated: true });
    clock.advance(2_000);
    expect(await review(token)).toEqual({ user: {}, error: "service account token has expired" });
    const fresh = await tokenFor();
    api.store.delete("serviceaccounts", { namespace: "default", name: "app" });
    expect(await review(fresh)).toEqual({ user: {}, error: "service account has been deleted" });
  });

  test("is for its audiences only", async () => {
    const token = await tokenFor({ audiences: ["vault", "db"] });
    expect(await review(token, ["vault", "x"])).toMatchObject({ authenticated: true, audiences: ["vault"] });
    expect(await review(token)).toMatchObject({
      error: expect.stringContaining("is invalid for the target audiences"),
    });
    const { code } = await api.call("/api/v1/pods", { headers: { Authorization: `Bearer ${token}` } });
    expect(code).toBe(401);
  });

  test("that was changed or signed by somebody else is none", async () => {
    const [head = "", body = "", signature = ""] = (await tokenFor()).split(".");
    const claims = { ...claimsOf(`.${body}`), sub: "system:serviceaccount:kube-system:admin" };
    const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
    const none = encode({ alg: "none", typ: "JWT" });
    for (const forged of [
      `${head}.${encode(claims)}.${signature}`,
      `${none}.${body}.`,
      `${none}.${body}.${signature}`,
      `${head}.${body}.`,
      `${head}.${body}.${signature}.x`,
      `${head}.${body}.${Buffer.alloc(64).toString("base64url")}`,
      "ey",
      "",
    ]) {
      expect(await review(forged)).toEqual({ user: {}, error: "invalid bearer token" });
    }
  });

  test("lets its holder look at the API and at itself, and at nothing else", async () => {
    const headers = { Authorization: `Bearer ${await tokenFor()}` };
    const call = async (path: string, method = "GET", body?: object) => {
      const options = { method, headers, ...(body === undefined ? {} : { body }) };
      const { code, body: answer } = await api.call(path, options);
      return [code, answer["message"]];
    };
    const who = `User "system:serviceaccount:default:app" cannot`;
    for (const path of ["/api", "/apis", "/api/v1", "/apis/apps/v1", "/openapi/v3", "/version"]) {
      expect((await call(path))[0]).toBe(200);
    }
    expect(await call("/api/v1/namespaces/default/pods")).toEqual([
      403,
      `pods is forbidden: ${who} list resource "pods" in API group "" in the namespace "default"`,
    ]);
    expect(await call("/api/v1/namespaces/default/pods?watch=true")).toEqual([
      403,
      `pods is forbidden: ${who} watch resource "pods" in API group "" in the namespace "default"`,
    ]);
    expect(await call("/api/v1/namespaces/default/pods/p/exec?command=id", "POST")).toEqual([
      403,
      `pods "p" is forbidden: ${who} create resource "pods/exec" in API group "" in the namespace "default"`,
    ]);
    expect(await call("/apis/apps/v1/deployments")).toEqual([
      403,
      `deployments.apps is forbidden: ${who} list resource "deployments" in API group "apps" at the cluster scope`,
    ]);
    expect(await call(REVIEWS, "POST", { spec: { token: "x" } })).toEqual([
      403,
      `tokenreviews.authentication.k8s.io is forbidden: ${who} create resource "tokenreviews" in API group "authentication.k8s.io" at the cluster scope`,
    ]);
    expect(await call("/pillion/v1/stop", "POST", {})).toEqual([
      403,
      `forbidden: ${who} post path "/pillion/v1/stop"`,
    ]);
    const self = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    const may = async (resource: string, group: string, verb: string) => {
      const body = { spec: { resourceAttributes: { resource, group, verb } } };
      const answer = await api.call(self, { method: "POST", headers, body });
      return (answer.body["status"] as Json)["allowed"];
    };
    expect([
      await may("pods", "", "list"),
      await may("selfsubjectreviews", "authentication.k8s.io", "create"),
    ]).toEqual([false, true]);
  });
});

describe("impersonation", () => {
  const whoami = async (headers: Readonly<Record<string, string>>) => {
    const path = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
    const { code, body } = await api.call(path, { method: "POST", headers, body: {} });
    return [code, (body["status"] as Json | string) ?? "", body["message"]];
  };

  test("gives an administrator another's name and rights", async () => {
    const username = "system:serviceaccount:default:app";
    expect(await whoami({ "Impersonate-User": username })).toEqual([
      201,
      {
        userInfo: {
          username,
          groups: ["system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated"],
        },
      },
      undefined,
    ]);
    expect(await whoami({ "Impersonate-User": "jane", "Impersonate-Group": "a, b" })).toMatchObject([
      201,
      { userInfo: { username: "jane", groups: ["a", "b", "system:authenticated"] } },
      undefined,
    ]);
    expect((await api.call("/api/v1/pods", { headers: { "Impersonate-User": "jane" } })).code).toBe(403);
    expect((await api.call("/api/v1/pods", { headers: { "Impersonate-Group": "a" } })).code).toBe(400);
  });

  test("is for administrators only", async () => {
    const headers = { Authorization: `Bearer ${await tokenFor()}`, "Impersonate-User": "kubernetes-admin" };
    const { code, body } = await api.call("/api/v1/pods", { headers });
    expect([code, body["message"]]).toEqual([
      403,
      'users "kubernetes-admin" is forbidden: User "system:serviceaccount:default:app" cannot impersonate resource "users" in API group "" at the cluster scope',
    ]);
  });
});

test("the kubelet's tokens are the same ones", async () => {
  const uid = createPod("own", "app");
  const issue = tokenIssuer({ store: api.store, clock, pki: api.pki });
  const { token, expiresAt } = issue({
    namespace: "default",
    serviceAccount: "app",
    audiences: [],
    expirationSeconds: 3607,
    pod: { name: "own", uid },
  });
  expect(expiresAt).toBe((Math.floor(clock.now() / 1000) + 3607) * 1000);
  await expect(review(token)).resolves.toMatchObject({ authenticated: true });
});

test("a Secret's token has no end but the Secret's", async () => {
  const at = { namespace: "default", name: "app-token" };
  const { metadata } = api.store.create("secrets", { apiVersion: "v1", kind: "Secret", metadata: at });
  const issue = secretTokenIssuer({ store: api.store, clock, pki: api.pki });
  const secret = { name: at.name, uid: metadata.uid ?? "" };
  const token = issue({ namespace: "default", serviceAccount: "app", secret });
  const hold = (held: string) =>
    api.store.update("secrets", at, (current) => ({ ...current, data: { token: btoa(held) } }));
  hold(token);
  clock.advance(365 * 24 * 3_600_000);
  expect(claimsOf(token)).not.toHaveProperty("exp");
  const user = { username: "system:serviceaccount:default:app" };
  expect(await review(token)).toMatchObject({ authenticated: true, user });
  hold("another");
  expect(await review(token)).toEqual({ user: {}, error: "service account token has been invalidated" });
  hold(token);
  api.store.delete("secrets", at);
  expect(await review(token)).toEqual({ user: {}, error: "the token is bound to a secret that is gone" });
});
