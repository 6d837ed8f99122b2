/** Server-side apply, pruning and kustomizations as real kubectl drives them. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "bun:test";
import { PillionHome } from "../../src/testing/pillion.ts";
import { type KubectlSession, openKubectl } from "./kubectl-session.ts";

const TEST_MS = 60_000;

let home: PillionHome;
let kubectl: KubectlSession;

beforeAll(async () => {
  home = new PillionHome();
  await home.mustRun(["up", "-d"]);
  kubectl = await openKubectl(home, { version: "35", namespace: "default" });
}, TEST_MS);

afterAll(async () => {
  await home[Symbol.asyncDispose]();
}, TEST_MS);

interface Entry {
  readonly manager: string;
  readonly operation: string;
  readonly time: string;
  readonly fieldsV1: unknown;
}

function configMap(name: string, data: object, labels?: object): string {
  return JSON.stringify({ apiVersion: "v1", kind: "ConfigMap", metadata: { name, labels }, data });
}

async function read(
  name: string,
): Promise<{ data: object; metadata: { resourceVersion: string; managedFields: Entry[] } }> {
  return JSON.parse(await kubectl.must(["get", "cm", name, "-o", "json", "--show-managed-fields"]));
}

async function managers(name: string): Promise<string[]> {
  const { metadata } = await read(name);
  return metadata.managedFields.map(({ manager, operation }) => `${manager} ${operation}`);
}

const SSA = ["apply", "--server-side", "-f", "-"];

test("apply --server-side owns what it says, removes what it no longer says, and writes nothing for the same", async () => {
  expect(await kubectl.must(SSA, configMap("own", { a: "1", b: "1" }))).toBe(
    "configmap/own serverside-applied\n",
  );
  await kubectl.must(SSA, configMap("own", { a: "1" }));
  const once = await read("own");
  expect(once.data).toEqual({ a: "1" });
  expect(once.metadata.managedFields).toEqual([
    expect.objectContaining({
      manager: "kubectl",
      operation: "Apply",
      fieldsV1: { "f:data": { "f:a": {} } },
    }),
  ]);
  await kubectl.must(SSA, configMap("own", { a: "1" }));
  expect(await read("own")).toEqual(once);
});

test("another manager's value is a conflict that --force-conflicts takes over", async () => {
  await kubectl.must(SSA, configMap("contended", { a: "1" }));
  const other = [...SSA, "--field-manager=other"];
  const refused = await kubectl.run(other, configMap("contended", { a: "2" }));
  expect({ code: refused.code, stderr: refused.stderr }).toEqual({
    code: 1,
    stderr: expect.stringContaining('Apply failed with 1 conflict: conflict with "kubectl": .data.a'),
  });
  await kubectl.must([...other, "--force-conflicts"], configMap("contended", { a: "2" }));
  expect(await managers("contended")).toEqual(["other Apply"]);
});

function deployment(spec: object): string {
  const labels = { app: "web" };
  const containers = [{ name: "c", image: "none", ports: [{ containerPort: 80 }] }];
  return JSON.stringify({
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "web" },
    spec: {
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers } },
      ...spec,
    },
  });
}

test("scale takes the replicas over, until the manifest no longer says them", async () => {
  await kubectl.must(SSA, deployment({ replicas: 0, paused: true }));
  await kubectl.must(["scale", "deploy/web", "--replicas=1"]);
  const refused = await kubectl.run(SSA, deployment({ replicas: 0, paused: true }));
  // kubectl calls itself by the name of its program.
  expect(refused.stderr).toMatch(
    /conflict with "kubectl\S*" with subresource "scale" using apps\/v1: \.spec\.replicas/,
  );
  await kubectl.must(SSA, deployment({ paused: true }));
  expect(await kubectl.must(["get", "deploy/web", "-o", "jsonpath={.spec.replicas}"])).toBe("1");
  await kubectl.must([...SSA, "--force-conflicts"], deployment({ replicas: 0, paused: true }));
  expect(await kubectl.must(["get", "deploy/web", "-o", "jsonpath={.spec.replicas}"])).toBe("0");
});

test("a list that names an item twice is refused in the real server's words", async () => {
  const ports = [{ containerPort: 80 }, { containerPort: 80, protocol: "TCP" }];
  const containers = [{ name: "c", image: "none", ports }];
  const template = { metadata: { labels: { app: "web" } }, spec: { containers } };
  const { code, stderr } = await kubectl.run(SSA, deployment({ template }));
  expect({ code, stderr }).toEqual({
    code: 1,
    stderr:
      'Error from server: failed to create typed patch object (default/web; apps/v1, Kind=Deployment): .spec.template.spec.containers[name="c"].ports: duplicate entries for key [containerPort=80,protocol="TCP"]\n',
  });
});

test("patch --subresource=status is recorded as a write of the status", async () => {
  await kubectl.must(SSA, deployment({ replicas: 0, paused: true }));
  const status = '{"status":{"conditions":[{"type":"Mine","status":"True"}]}}';
  await kubectl.must(["patch", "deploy/web", "--subresource=status", "--type=merge", "-p", status]);
  const shown = ["get", "deploy/web", "--show-managed-fields", "-o"];
  const path = 'jsonpath={.metadata.managedFields[?(@.subresource=="status")].manager}';
  expect(await kubectl.must([...shown, path])).toBe("kubectl-patch");
});

test("diff --server-side shows what an apply would do, and --dry-run=server does nothing", async () => {
  await kubectl.must(SSA, configMap("seen", { a: "1" }));
  const diff = await kubectl.run(["diff", "--server-side", "-f", "-"], configMap("seen", { a: "2" }));
  expect(diff.code).toBe(1);
  expect(diff.stdout).toContain('+  a: "2"');
  await kubectl.must([...SSA, "--dry-run=server"], configMap("seen", { a: "3" }));
  expect((await read("seen")).data).toEqual({ a: "1" });
});

test("what was applied on the client's side moves over, and can be reset", async () => {
  await kubectl.must(["apply", "-f", "-"], configMap("moved", { a: "1", b: "1" }));
  expect(await managers("moved")).toEqual(["kubectl-client-side-apply Update"]);
  await kubectl.must(SSA, configMap("moved", { a: "2" }));
  expect((await read("moved")).data).toEqual({ a: "2" });
  expect((await managers("moved"))[0]).toBe("kubectl Apply");
  await kubectl.must(["patch", "cm", "moved", "--type=merge", "-p", '{"metadata":{"managedFields":[{}]}}']);
  expect((await read("moved")).metadata.managedFields).toBeUndefined();
});

test("label, annotate, set and edit each own what they change", async () => {
  await kubectl.must(SSA, configMap("touched", { a: "1" }));
  await kubectl.must(["label", "cm", "touched", "x=1"]);
  await kubectl.must(["annotate", "cm", "touched", "y=1"]);
  const editor = await openKubectl(home, {
    version: "35",
    namespace: "default",
    env: { KUBE_EDITOR: "sed -i s/x:/z:/" },
  });
  await editor.must(["edit", "cm", "touched"]);
  expect((await managers("touched")).toSorted()).toEqual([
    "kubectl Apply",
    "kubectl-annotate Update",
    "kubectl-edit Update",
    "kubectl-label Update",
  ]);
});

test("apply --prune deletes what is no longer in the set, by label and by ApplySet", async () => {
  const of = (...names: string[]) => names.map((name) => configMap(name, {}, { set: "s" })).join("\n---\n");
  const prune = ["apply", "-f", "-", "--prune", "-l", "set=s", "--prune-allowlist=core/v1/ConfigMap"];
  await kubectl.must(prune, of("p1", "p2"));
  expect(await kubectl.must(prune, of("p1"))).toContain("configmap/p2 pruned");
  const sets = await openKubectl(home, {
    version: "35",
    namespace: "default",
    env: { KUBECTL_APPLYSET: "true" },
  });
  const bySet = ["apply", "-f", "-", "--server-side", "--prune", "--applyset=configmap/the-set"];
  await kubectl.must(["create", "cm", "the-set"]);
  const members = (...names: string[]) => names.map((name) => configMap(name, {})).join("\n---\n");
  await sets.must(["apply", "-f", "-", "--prune", "--applyset=the-secret-set"], members("q0"));
  expect((await sets.run(bySet, members("q1"))).stderr).toContain("is missing required annotation");
  const own = ["apply", "-f", "-", "--server-side", "--prune", "--applyset=secret/fresh"];
  await sets.must(own, members("q2", "q3"));
  expect(await sets.must(own, members("q2"))).toContain("configmap/q3 pruned");
});

test("apply -k builds a kustomization", async () => {
  const folder = join(home.path, "kustom");
  mkdirSync(folder);
  writeFileSync(join(folder, "cm.yaml"), configMap("plain", { a: "1" }));
  writeFileSync(join(folder, "kustomization.yaml"), "namePrefix: k-\nresources: [cm.yaml]\n");
  await kubectl.must(["apply", "-k", folder]);
  expect((await read("k-plain")).data).toEqual({ a: "1" });
});
