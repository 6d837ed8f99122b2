/** The API as programs in pods see it: the token they find, what it opens, and real clients that need no configuration. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { kubectlPath } from "../../src/testing/kubectl.ts";
import { PillionHome } from "../../src/testing/pillion.ts";
import { type KubectlSession, openKubectl } from "./kubectl-session.ts";

const TEST_MS = 60_000;
const ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount";
const ENDS_ON_TERM = "trap 'exit 0' TERM; sleep 1000 & wait";

let home: PillionHome;
let kubectl: KubectlSession;

function pod(name: string, spec: object = {}, container: object = {}): string {
  const main = { name: "main", image: "box", command: ["sh", "-c", ENDS_ON_TERM], ...container };
  return JSON.stringify({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name },
    spec: { terminationGracePeriodSeconds: 1, containers: [main], ...spec },
  });
}

async function start(name: string, spec?: object, container?: object): Promise<void> {
  await kubectl.must(["create", "-f", "-"], pod(name, spec, container));
  await kubectl.must(["wait", "--for=condition=Ready", `pod/${name}`, "--timeout=60s"]);
}

/** Both streams of a script in a pod. */
async function inside(name: string, script: string): Promise<string> {
  const { stdout, stderr } = await kubectl.run(["exec", name, "--", "sh", "-c", `(${script}) || true`]);
  return `${stdout}${stderr}`.trim();
}

/** The account may do that in the namespace from now on. */
async function allow(account: string, rules: readonly string[]): Promise<void> {
  await kubectl.must(["create", "role", account, ...rules]);
  await kubectl.must([
    "create",
    "rolebinding",
    account,
    `--role=${account}`,
    `--serviceaccount=shop:${account}`,
  ]);
}

/** A GET with what the pod was given, and nothing else. */
function curl(path: string): string {
  const header = `"Authorization: Bearer $(cat ${ACCOUNT}/token)"`;
  return `curl -sS --cacert ${ACCOUNT}/ca.crt -H ${header} https://kubernetes.default.svc${path}`;
}

beforeAll(async () => {
  home = new PillionHome();
  const program = join(home.path, "inside.js");
  const built = await Bun.build({
    entrypoints: [join(import.meta.dirname, "client-node-inside.mjs")],
    // With the HTTP client that it brings, which takes the CA: the one in its place on Bun does not.
    target: "node",
    outdir: join(home.path, "built"),
  });
  writeFileSync(program, (await built.outputs[0]?.text()) ?? "");
  const copy = {
    [process.execPath]: "/usr/local/bin/bun",
    [await kubectlPath("35")]: "/usr/local/bin/kubectl",
    [program]: "/opt/inside.js",
  };
  writeFileSync(join(home.path, "images.yaml"), JSON.stringify({ images: { box: { host: { copy } } } }));
  await home.mustRun(["up", "-d", "--images", join(home.path, "images.yaml")]);
  const first = await openKubectl(home, { version: "35", namespace: "default" });
  await first.must(["create", "namespace", "shop"]);
  kubectl = await openKubectl(home, { version: "35", namespace: "shop" });
  for (const account of ["clerk", "watcher", "silent"])
    await kubectl.must(["create", "serviceaccount", account]);
  await Promise.all([start("box"), start("clerk", { serviceAccountName: "clerk" })]);
}, TEST_MS);

afterAll(async () => {
  await home[Symbol.asyncDispose]();
}, TEST_MS);

describe("the volume of the account", () => {
  test("shows token, CA and namespace behind one link, read-only [V17]", async () => {
    expect((await inside("box", `ls -A ${ACCOUNT}`)).split("\n").slice(1)).toEqual([
      "..data",
      "ca.crt",
      "namespace",
      "token",
    ]);
    expect(await inside("box", `readlink ${ACCOUNT}/token; cat ${ACCOUNT}/namespace`)).toBe(
      "..data/token\nshop",
    );
    expect(await inside("box", `echo x > ${ACCOUNT}/x`)).toContain("Read-only file system");
    const [, claims = ""] = (await inside("box", `cat ${ACCOUNT}/token`)).split(".");
    const { sub, exp, iat, ...rest } = JSON.parse(Buffer.from(claims, "base64url").toString()) as {
      [name: string]: unknown;
    };
    expect(sub).toBe("system:serviceaccount:shop:default");
    expect(Number(exp) - Number(iat)).toBe(3607);
    expect(rest["kubernetes.io"]).toMatchObject({
      namespace: "shop",
      pod: { name: "box" },
      serviceaccount: { name: "default" },
    });
  });

  test("is described as kubectl describes it on a cluster", async () => {
    const text = await kubectl.must(["describe", "pod", "box"]);
    expect(text).toMatch(
      /Mounts:\n +\/var\/run\/secrets\/kubernetes.io\/serviceaccount from kube-api-access-[a-z0-9]{5} \(ro\)\n/,
    );
    expect(text).toMatch(/TokenExpirationSeconds: +3607\n +ConfigMapName: +kube-root-ca.crt\n/);
  });

  test("has a token for nobody but the user that all containers run as, where the pod says who that is", async () => {
    const files = `stat -L -c '%a %u' ${ACCOUNT}/token ${ACCOUNT}/ca.crt`;
    expect(await inside("box", files)).toBe("644 0\n644 0");
    const security = { securityContext: { runAsUser: 0 } };
    await start("user", security);
    expect(await inside("user", `${files}; head -c 2 ${ACCOUNT}/token`)).toBe("600 0\n644 0\ney");
  });

  test("is not there for who does not want it [V17]", async () => {
    await kubectl.must([
      "patch",
      "serviceaccount",
      "silent",
      "-p",
      JSON.stringify({ automountServiceAccountToken: false }),
    ]);
    await start("silent", { serviceAccountName: "silent" });
    expect(await inside("silent", `ls ${ACCOUNT}`)).toContain("No such file or directory");
    expect(await inside("silent", "kubectl get pods")).toContain("localhost:8080");
    const { code, stderr } = await kubectl.run(
      ["create", "-f", "-"],
      pod("nobody", { serviceAccountName: "nobody" }),
    );
    expect([code, stderr]).toEqual([
      1,
      'Error from server (Forbidden): error when creating "STDIN": pods "nobody" is forbidden: error looking up service account shop/nobody: serviceaccount "nobody" not found\n',
    ]);
  });
});

describe("the API from inside", () => {
  test("is told of by variables, and trusted by the CA that is mounted", async () => {
    expect(await inside("box", "env | grep ^KUBERNETES_SERVICE | sort")).toBe(
      "KUBERNETES_SERVICE_HOST=10.96.0.1\nKUBERNETES_SERVICE_PORT=443\nKUBERNETES_SERVICE_PORT_HTTPS=443",
    );
    expect(JSON.parse(await inside("box", curl("/version")))).toMatchObject({ major: "1" });
    expect(await inside("box", "curl -sS https://kubernetes.default.svc/version")).toContain("certificate");
    const names = ["kubernetes.default", "kubernetes.default.svc.cluster.local", "10.96.0.1"];
    const codes = names.map(
      (name) => `curl -s -o /dev/null -w '%{http_code} ' --cacert ${ACCOUNT}/ca.crt https://${name}/version`,
    );
    expect(await inside("box", codes.join("; "))).toBe("200 200 200");
  });

  test("forbids what no role allows, in its own words, and no more once one does", async () => {
    const list = curl("/api/v1/namespaces/shop/pods");
    const user = "system:serviceaccount:shop:clerk";
    expect(JSON.parse(await inside("clerk", list))).toMatchObject({
      kind: "Status",
      code: 403,
      reason: "Forbidden",
      message: `pods is forbidden: User "${user}" cannot list resource "pods" in API group "" in the namespace "shop"`,
    });
    await allow("clerk", ["--verb=get,list", "--resource=pods"]);
    expect(JSON.parse(await inside("clerk", list))).toMatchObject({ kind: "PodList" });
    expect(await inside("clerk", curl("/api/v1/pods"))).toContain("at the cluster scope");
    expect(await inside("clerk", "kubectl delete pod box")).toBe(
      `Error from server (Forbidden): pods "box" is forbidden: User "${user}" cannot delete resource "pods" in API group "" in the namespace "shop"`,
    );
  });

  test("takes a real kubectl without kubeconfig for the pod's account in the pod's namespace", async () => {
    expect(await inside("box", "kubectl get pods")).toBe(
      'Error from server (Forbidden): pods is forbidden: User "system:serviceaccount:shop:default" cannot list resource "pods" in API group "" in the namespace "shop"',
    );
    expect(await inside("box", "kubectl auth whoami -o jsonpath='{.status.userInfo.username}'")).toBe(
      "system:serviceaccount:shop:default",
    );
    await kubectl.must([
      "create",
      "rolebinding",
      "views",
      "--clusterrole=view",
      "--serviceaccount=shop:default",
    ]);
    expect(await inside("box", "kubectl get pods box")).toMatch(
      /^NAME +READY +STATUS .*\nbox +1\/1 +Running /,
    );
    expect(await inside("box", "kubectl auth can-i delete pods")).toContain("no");
  });

  test("tells a watch from inside of what happens", async () => {
    await kubectl.must([
      "create",
      "rolebinding",
      "sees",
      "--clusterrole=view",
      "--serviceaccount=shop:watcher",
    ]);
    const follow = { command: ["kubectl", "get", "configmaps", "-w", "-o", "name"] };
    await start("watcher", { serviceAccountName: "watcher" }, follow);
    const logs = kubectl.start(["logs", "-f", "watcher"]);
    await logs.line(/^configmap\/kube-root-ca.crt$/);
    await kubectl.must(["create", "configmap", "news"]);
    await logs.line(/^configmap\/news$/);
    logs.kill("SIGTERM");
    await logs.exited;
  });

  test("serves @kubernetes/client-node with loadFromCluster()", async () => {
    await kubectl.must(["create", "serviceaccount", "writer"]);
    await allow("writer", ["--verb=get,list,watch,create", "--resource=configmaps"]);
    await kubectl.must(
      ["create", "-f", "-"],
      pod(
        "writer",
        { serviceAccountName: "writer", restartPolicy: "Never" },
        { command: ["bun", "/opt/inside.js"] },
      ),
    );
    await kubectl.run([
      "wait",
      "--for=jsonpath={.status.containerStatuses[0].state.terminated}",
      "pod/writer",
      "--timeout=60s",
    ]);
    const logs = await kubectl.must(["logs", "writer"]);
    expect(logs).toMatch(/^{/);
    expect(JSON.parse(logs)).toEqual({
      server: "https://10.96.0.1:443",
      namespace: "shop",
      configMaps: expect.arrayContaining(["kube-root-ca.crt"]) as unknown,
      event: ["ADDED", { by: "writer" }],
      refused: [
        403,
        'secrets is forbidden: User "system:serviceaccount:shop:writer" cannot list resource "secrets" in API group "" in the namespace "shop"',
      ],
    });
  });

  test("knows a token no more when its pod is gone", async () => {
    await start("brief");
    const token = await inside("brief", `cat ${ACCOUNT}/token`);
    const ask = `curl -sS -o /dev/null -w '%{http_code}' -k -H 'Authorization: Bearer ${token}' https://kubernetes.default.svc/api`;
    expect(await inside("box", ask)).toBe("200");
    await kubectl.must(["delete", "pod", "brief"]);
    expect(await inside("box", ask)).toBe("401");
  });
});

test(
  "a pod that outlives its engine has a token of the next one, behind the same link [V17]",
  async () => {
    await using other = new PillionHome();
    writeFileSync(join(other.path, "images.yaml"), JSON.stringify({ images: { box: "host" } }));
    const up = ["up", "-d", "--keep", "--images", join(other.path, "images.yaml")];
    await other.mustRun(up);
    const admin = await openKubectl(other, { version: "35", namespace: "default" });
    await admin.must(["create", "-f", "-"], pod("box"));
    await admin.must(["wait", "--for=condition=Ready", "pod/box", "--timeout=60s"]);
    const token = () => admin.must(["exec", "box", "--", "cat", `${ACCOUNT}/token`]);
    const before = await token();
    const engine = other.enginePid();
    process.kill(engine, "SIGKILL");
    // It is not our child: there is nothing else to wait on.
    while (existsSync(`/proc/${engine}/cmdline`) && readFileSync(`/proc/${engine}/cmdline`).length > 0)
      await Bun.sleep(5);
    await other.mustRun(up);
    await admin.must(["wait", "--for=condition=Ready", "pod/box", "--timeout=60s"]);
    expect(await token()).not.toBe(before);
    const reply = JSON.parse(
      await admin.must(["exec", "box", "--", "sh", "-c", curl("/version")]),
    ) as unknown;
    expect(reply).toMatchObject({ major: "1" });
    expect(
      await admin.must(["get", "pod", "box", "-o", "jsonpath={.status.containerStatuses[0].restartCount}"]),
    ).toBe("0");
  },
  TEST_MS,
);
