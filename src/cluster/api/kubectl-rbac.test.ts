import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { kubectlPath, type KubectlVersion, runKubectl } from "../../testing/kubectl.ts";
import { startTestApi, type TestApi } from "./api.test-support.ts";

const VERSIONS: readonly KubectlVersion[] = ["29", "35"];
const TEST_MS = 30_000;
const APP = "system:serviceaccount:default:app";

describe.each(VERSIONS)("kubectl 1.%s and rights", (version) => {
  let api: TestApi;
  let program: string;

  beforeAll(async () => {
    api = await startTestApi();
    program = await kubectlPath(version);
  });
  afterAll(async () => {
    expect(api.bugs).toEqual([]);
    await api[Symbol.asyncDispose]();
  });

  async function kubectl(command: string, stdin = "") {
    const { code, out, err } = await runKubectl(program, command.split(" "), { stdin, env: api.kubectlEnv });
    return { code, out: out.trim(), err };
  }

  test(
    "creates roles and bindings, and tells what they allow",
    async () => {
      expect(await kubectl(`auth can-i list pods --as ${APP}`)).toMatchObject({ code: 1, out: "no" });
      for (const command of [
        "create role reader --verb=get,list --resource=pods,pods/log",
        "create rolebinding reader --role=reader --serviceaccount=default:app",
        "create clusterrole nodes --verb=get --resource=nodes",
        `create clusterrolebinding nodes --clusterrole=nodes --user=${APP}`,
      ]) {
        expect((await kubectl(command)).out).toContain("created");
      }
      expect((await kubectl(`auth can-i list pods --as ${APP}`)).out).toBe("yes");
      expect((await kubectl(`auth can-i get pods --subresource=log --as ${APP}`)).out).toBe("yes");
      expect((await kubectl(`auth can-i list pods -n other --as ${APP}`)).out).toBe("no");
      expect((await kubectl(`auth can-i get nodes --as ${APP}`)).out).toContain("yes");
      expect((await kubectl("auth can-i delete everything --all-namespaces")).out).toContain("yes");
      const list = await kubectl(`auth can-i --list --as ${APP}`);
      expect(list.out).toMatch(/^pods\/log +\[\] +\[\] +\[get list\]$/m);
      expect(list.out).toMatch(/^ +\[\/healthz\] +\[\] +\[get\]$/m);
      const refused = await kubectl(`delete pod p --as ${APP}`);
      expect(refused.err).toContain(
        `Error from server (Forbidden): pods "p" is forbidden: User "${APP}" cannot delete resource "pods" in API group "" in the namespace "default"`,
      );
    },
    TEST_MS,
  );

  test(
    "reconciles a binding whose role has changed",
    async () => {
      const binding = (role: string) => `apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: { name: moved, namespace: default }
roleRef: { apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: ${role} }
subjects: [{ kind: User, apiGroup: rbac.authorization.k8s.io, name: jane }]
`;
      expect((await kubectl("auth reconcile -f -", binding("view"))).code).toBe(0);
      expect((await kubectl("auth can-i get secrets --as jane")).out).toBe("no");
      expect((await kubectl("auth reconcile -f -", binding("edit"))).code).toBe(0);
      expect((await kubectl("auth can-i get secrets --as jane")).out).toBe("yes");
    },
    TEST_MS,
  );
});
