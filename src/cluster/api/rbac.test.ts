import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { type Json, startTestApi, type TestApi } from "./api.test-support.ts";

const RBAC = "/apis/rbac.authorization.k8s.io/v1";
const NS = "/namespaces/default";

let api: TestApi;

beforeEach(async () => {
  api = await startTestApi();
});

afterEach(async () => {
  expect(api.bugs).toEqual([]);
  await api[Symbol.asyncDispose]();
});

/** As somebody else, or as the administrator. */
async function send(path: string, options: { method?: string; body?: object; as?: string } = {}) {
  const { as, ...rest } = options;
  const { code, body } = await api.call(path, {
    ...rest,
    ...(as === undefined ? {} : { headers: { "Impersonate-User": as } }),
  });
  return { code, body, message: body["message"] };
}

const post = (path: string, body: object, as?: string) =>
  send(path, { method: "POST", body, ...(as === undefined ? {} : { as }) });

async function grant(name: string, rules: readonly object[], subject: object): Promise<void> {
  expect((await post(`${RBAC}${NS}/roles`, { metadata: { name }, rules })).code).toBe(201);
  const roleRef = { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name };
  const answer = await post(`${RBAC}${NS}/rolebindings`, {
    metadata: { name },
    roleRef,
    subjects: [subject],
  });
  expect(answer.code).toBe(201);
}

const JANE = { kind: "User", name: "jane" };
const READ_PODS = { verbs: ["get", "list"], apiGroups: [""], resources: ["pods"] };

describe("a request", () => {
  test("passes with the first binding that allows it, at once, and not without", async () => {
    const pods = `/api/v1${NS}/pods`;
    expect(await send(pods, { as: "jane" })).toMatchObject({
      code: 403,
      message:
        'pods is forbidden: User "jane" cannot list resource "pods" in API group "" in the namespace "default"',
    });
    await grant("reader", [READ_PODS], JANE);
    expect((await send(pods, { as: "jane" })).code).toBe(200);
    expect((await send(`${pods}?watch=true`, { as: "jane" })).code).toBe(403);
    expect((await send("/api/v1/pods", { as: "jane" })).message).toContain("at the cluster scope");
    expect((await send("/api/v1/namespaces/other/pods", { as: "jane" })).code).toBe(403);
    expect((await send(`${pods}/p/log`, { as: "jane" })).message).toBe(
      'pods "p" is forbidden: User "jane" cannot get resource "pods/log" in API group "" in the namespace "default"',
    );
    await send(`${RBAC}${NS}/rolebindings/reader`, { method: "DELETE" });
    expect((await send(pods, { as: "jane" })).code).toBe(403);
  });

  test("for one name passes where the rule names it, in lists too", async () => {
    const rule = { ...READ_PODS, resources: ["secrets"], resourceNames: ["mine"] };
    await grant("one", [rule], { kind: "ServiceAccount", name: "app" });
    const as = "system:serviceaccount:default:app";
    const list = (query: string) => send(`/api/v1${NS}/secrets${query}`, { as });
    expect((await send(`/api/v1${NS}/secrets/mine`, { as })).code).toBe(404);
    expect((await send(`/api/v1${NS}/secrets/other`, { as })).code).toBe(403);
    expect((await list("?fieldSelector=metadata.name%3Dmine")).code).toBe(200);
    expect((await list("?fieldSelector=metadata.name%3Dother")).code).toBe(403);
    expect((await list("?fieldSelector=metadata.name!%3Dmine")).code).toBe(403);
    expect((await list("")).code).toBe(403);
  });

  test("is told when a role that is bound is not there", async () => {
    const roleRef = { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: "gone" };
    await post(`${RBAC}${NS}/rolebindings`, { metadata: { name: "b" }, roleRef, subjects: [JANE] });
    const { message } = await send(`/api/v1${NS}/pods`, { as: "jane" });
    expect(message).toEndWith(
      'in the namespace "default": RBAC: role.rbac.authorization.k8s.io "gone" not found',
    );
  });
});

describe("nobody grants what they do not have:", () => {
  const WRITE_RBAC = {
    verbs: ["create", "update", "patch", "delete", "get"],
    apiGroups: ["rbac.authorization.k8s.io"],
    resources: ["roles", "rolebindings"],
  };
  const roleRef = (name: string, kind = "ClusterRole") => ({
    apiGroup: "rbac.authorization.k8s.io",
    kind,
    name,
  });

  test("a role", async () => {
    await grant("writer", [WRITE_RBAC, READ_PODS], JANE);
    const role = (rules: readonly object[]) => ({ metadata: { name: "new" }, rules });
    expect((await post(`${RBAC}${NS}/roles`, role([READ_PODS]), "jane")).code).toBe(201);
    const more = { ...READ_PODS, verbs: ["get", "delete", "watch"] };
    const refused = await send(`${RBAC}${NS}/roles/new`, { method: "PUT", body: role([more]), as: "jane" });
    expect([refused.code, refused.message]).toEqual([
      403,
      'roles.rbac.authorization.k8s.io "new" is forbidden: user "jane" (groups=["system:authenticated"]) is attempting to grant RBAC permissions not currently held:\n{APIGroups:[""], Resources:["pods"], Verbs:["delete" "watch"]}',
    ]);
    await grant("escalator", [{ ...WRITE_RBAC, verbs: ["escalate"] }], JANE);
    const allowed = await send(`${RBAC}${NS}/roles/new`, { method: "PUT", body: role([more]), as: "jane" });
    expect(allowed.code).toBe(200);
  });

  test("a binding", async () => {
    await grant("writer", [WRITE_RBAC], JANE);
    const binding = (name: string) => ({
      metadata: { name: "new" },
      roleRef: roleRef(name),
      subjects: [JANE],
    });
    const refused = await post(`${RBAC}${NS}/rolebindings`, binding("cluster-admin"), "jane");
    expect([refused.code, refused.message]).toEqual([
      403,
      'rolebindings.rbac.authorization.k8s.io "new" is forbidden: user "jane" (groups=["system:authenticated"]) is attempting to grant RBAC permissions not currently held:\n{APIGroups:["*"], Resources:["*"], Verbs:["*"]}\n{NonResourceURLs:["*"], Verbs:["*"]}',
    ]);
    const missing = await post(`${RBAC}${NS}/rolebindings`, binding("none"), "jane");
    expect([missing.code, missing.message]).toEqual([
      404,
      'clusterrole.rbac.authorization.k8s.io "none" not found',
    ]);
    const bind = { ...WRITE_RBAC, verbs: ["bind"], resources: ["clusterroles"], resourceNames: ["view"] };
    await grant("binder", [bind], JANE);
    expect((await post(`${RBAC}${NS}/rolebindings`, binding("edit"), "jane")).code).toBe(403);
    expect((await post(`${RBAC}${NS}/rolebindings`, binding("view"), "jane")).code).toBe(201);
    expect((await send(`/api/v1${NS}/configmaps`, { as: "jane" })).code).toBe(200);
    expect((await send(`/api/v1${NS}/secrets`, { as: "jane" })).code).toBe(403);
  });
});

describe("reviews tell the truth", () => {
  const REVIEWS = "/apis/authorization.k8s.io/v1";
  const ask = async (kind: string, spec: object, as?: string) => {
    const { code, body, message } = await post(`${REVIEWS}/${kind}`, { spec }, as);
    return code === 201 ? (body["status"] as Json) : message;
  };
  const listPods = { resourceAttributes: { verb: "list", resource: "pods", namespace: "default" } };

  test("about oneself and others", async () => {
    expect(await ask("selfsubjectaccessreviews", listPods)).toEqual({ allowed: true });
    expect(await ask("selfsubjectaccessreviews", listPods, "jane")).toEqual({ allowed: false });
    await grant("reader", [READ_PODS], JANE);
    const allowed = {
      allowed: true,
      reason: 'RBAC: allowed by RoleBinding "reader/default" of Role "reader" to User "jane"',
    };
    expect(await ask("selfsubjectaccessreviews", listPods, "jane")).toEqual(allowed);
    expect(await ask("subjectaccessreviews", { ...listPods, user: "jane" })).toEqual(allowed);
    expect(await ask("subjectaccessreviews", { ...listPods, user: "joe" })).toEqual({ allowed: false });
    const path = {
      nonResourceAttributes: { verb: "get", path: "/apis/apps" },
      groups: ["system:authenticated"],
    };
    expect(await ask("subjectaccessreviews", path)).toMatchObject({ allowed: true });
    const local = `..${REVIEWS}${NS}/localsubjectaccessreviews`.slice(2);
    const { body } = await post(local, { spec: { ...listPods, user: "jane" } });
    expect(body["status"]).toEqual(allowed);
  });

  test("and say what is wrong with them", async () => {
    expect(await ask("selfsubjectaccessreviews", {})).toContain(
      "exactly one of nonResourceAttributes or resourceAttributes must be specified",
    );
    expect(await ask("subjectaccessreviews", listPods)).toContain(
      "at least one of user or group must be specified",
    );
    expect(await ask("selfsubjectrulesreviews", {})).toBe("no namespace on request");
  });

  test("with every rule", async () => {
    await grant("reader", [READ_PODS], JANE);
    const status = (await ask("selfsubjectrulesreviews", { namespace: "default" }, "jane")) as Json;
    expect(status["resourceRules"]).toContainEqual(READ_PODS);
    expect(status["incomplete"]).toBe(false);
  });
});

describe("roles and bindings are checked:", () => {
  const binding = { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: "r" };
  test.each<[string, object, string]>([
    ["roles", { rules: [{}] }, "rules[0].verbs: Required value: verbs must contain at least one value"],
    [
      "roles",
      { rules: [{ verbs: ["get"], nonResourceURLs: ["/x"] }] },
      "namespaced rules cannot apply to non-resource URLs",
    ],
    [
      "roles",
      { rules: [{ verbs: ["get"], apiGroups: [""] }] },
      "resource rules must supply at least one resource",
    ],
    [
      "rolebindings",
      { roleRef: { ...binding, kind: "Thing" } },
      'roleRef.kind: Unsupported value: "Thing": supported values: "Role", "ClusterRole"',
    ],
    [
      "rolebindings",
      { roleRef: binding, subjects: [{ kind: "Robot", name: "r" }] },
      'subjects[0].kind: Unsupported value: "Robot"',
    ],
    [
      "rolebindings",
      { roleRef: binding, subjects: [{ kind: "User", name: "" }] },
      "subjects[0].name: Required value",
    ],
  ])("%s %j", async (plural, fields, message) => {
    const answer = await post(`${RBAC}${NS}/${plural}`, { metadata: { name: "x" }, ...fields });
    expect([answer.code, answer.message]).toEqual([422, expect.stringContaining(message)]);
  });

  test("a binding keeps its role", async () => {
    await grant("reader", [READ_PODS], JANE);
    const answer = await send(`${RBAC}${NS}/rolebindings/reader`, {
      method: "PUT",
      body: { metadata: { name: "reader" }, roleRef: { ...binding, name: "other" } },
    });
    expect([answer.code, answer.message]).toEqual([422, expect.stringContaining("cannot change roleRef")]);
  });
});
