/** What kubectl says about objects that are wrong, many, owned, replaced or deleted: the words of the real server. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { KubectlVersion } from "../../src/testing/kubectl.ts";
import { PillionHome } from "../../src/testing/pillion.ts";
import { type KubectlSession, openKubectl } from "./kubectl-session.ts";

const TEST_MS = 60_000;
const VERSIONS: readonly KubectlVersion[] = ["29", "31", "33", "35"];

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

function configMap(name: string, rest: object = {}): Record<string, unknown> {
  return { apiVersion: "v1", kind: "ConfigMap", metadata: { name }, ...rest };
}

function list(...items: readonly object[]): string {
  return JSON.stringify({ apiVersion: "v1", kind: "List", items });
}

describe.each(VERSIONS)("kubectl 1.%s", (version) => {
  let own: KubectlSession;

  beforeAll(async () => {
    own = await openKubectl(home, { version, namespace: `v${version}` });
    await own.must(["create", "namespace", `v${version}`]);
  });

  test("apply takes a List, each item checked by itself", async () => {
    const mixed = list(configMap("good"), configMap("bad", { dataa: {} }));
    const { code, stdout, stderr } = await own.run(["apply", "-f", "-"], mixed);
    expect({ code, stdout }).toEqual({ code: 1, stdout: "configmap/good created\n" });
    expect(stderr).toContain('strict decoding error: unknown field "dataa"');
  });

  test("a kind that the server does not have is named", async () => {
    const unknown = { apiVersion: "example.com/v1", kind: "Nothing", metadata: { name: "x" } };
    const { code, stderr } = await own.run(["create", "-f", "-"], JSON.stringify(unknown));
    expect(code).toBe(1);
    expect(stderr).toContain('no matches for kind "Nothing" in version "example.com/v1"');
    expect(stderr).toContain("ensure CRDs are installed first");
  });
});

test("a Pod with nothing in it is invalid", async () => {
  const { code, stderr } = await kubectl.run(["create", "-f", "-"], '{"apiVersion":"v1","kind":"Pod"}');
  expect({ code, stderr }).toEqual({
    code: 1,
    stderr:
      'The Pod "" is invalid: \n* metadata.name: Required value: name or generateName is required\n* spec.containers: Required value\n',
  });
});

test(
  "1,500 objects are created from one List and read in pages of any size",
  async () => {
    await kubectl.must(["create", "namespace", "many"]);
    const names = Array.from({ length: 1500 }, (_, index) => `c${String(index).padStart(4, "0")}`);
    await kubectl.must(["create", "-n", "many", "-f", "-"], list(...names.map((name) => configMap(name))));
    const expected = [...names, "kube-root-ca.crt"].map((name) => `configmap/${name}\n`).join("");
    for (const size of ["0", "500", "333"]) {
      expect(await kubectl.must(["get", "cm", "-n", "many", "-o", "name", `--chunk-size=${size}`])).toBe(
        expected,
      );
    }
    await kubectl.must(["delete", "namespace", "many"]);
    expect((await kubectl.run(["get", "namespace", "many"])).stderr).toContain("NotFound");
  },
  TEST_MS,
);

test("labels: a taken value needs --overwrite, a stale version conflicts, key- removes", async () => {
  await kubectl.must(["create", "configmap", "labelled"]);
  const label = (...args: string[]) => kubectl.run(["label", "cm", "labelled", ...args]);
  expect((await label("a=1")).stdout).toBe("configmap/labelled labeled\n");
  expect((await label("a=2")).stderr).toBe("error: 'a' already has a value (1), and --overwrite is false\n");
  expect((await label("a=2", "--resource-version=1", "--overwrite")).stderr).toContain(
    'Operation cannot be fulfilled on configmaps "labelled": the object has been modified',
  );
  expect((await label("a=2", "--overwrite")).code).toBe(0);
  expect((await label("a-")).stdout).toBe("configmap/labelled unlabeled\n");
});

test.each([
  ["merge", '{"data":{"a":2}}', "cannot unmarshal number into Go struct field ConfigMap.data of type string"],
  ["strategic", "[1]", "cannot unmarshal array into Go value"],
  ["json", '[{"op":"remove","path":"/data/none"}]', "The request is invalid"],
  ["json", '{"op":"remove"}', "error decoding patch"],
  [
    "merge",
    '{"metadata":{"name":"other"}}',
    "the name of the object (other) does not match the name on the URL",
  ],
  ["merge", '{"metadata":{"resourceVersion":"1"}}', "the object has been modified"],
])("patch --type=%s of %s is refused", async (type, patch, message) => {
  await kubectl.run(["create", "configmap", "patched", "--from-literal=a=1"]);
  const { code, stderr } = await kubectl.run(["patch", "cm", "patched", `--type=${type}`, "-p", patch]);
  expect({ code, says: stderr.includes(message) ? message : stderr }).toEqual({ code: 1, says: message });
});

test("an edit that the server refuses is kept in a file", async () => {
  await kubectl.must(["create", "configmap", "edited", "--from-literal=a=1"]);
  const env = { KUBE_EDITOR: "sed -i s/^data:/dataz:/" };
  const editor = await openKubectl(home, { version: "35", namespace: "default", env });
  const { code, stderr } = await editor.run(["edit", "cm", "edited"]);
  expect(code).toBe(1);
  expect(stderr).toContain('configmaps "edited" is invalid');
  expect(stderr).toContain("A copy of your changes has been stored to");
});

test("replace wants the version it was read with; --force makes the object anew", async () => {
  await kubectl.must(["create", "configmap", "replaced"]);
  const read = JSON.parse(await kubectl.must(["get", "cm", "replaced", "-o", "json"])) as {
    metadata: { uid: string };
  };
  const text = JSON.stringify({ ...read, data: { a: "1" } });
  expect(await kubectl.must(["replace", "-f", "-"], text)).toBe("configmap/replaced replaced\n");
  expect((await kubectl.run(["replace", "-f", "-"], text)).stderr).toContain("the object has been modified");
  await kubectl.must(["replace", "--force", "-f", "-"], JSON.stringify(configMap("replaced")));
  const uid = await kubectl.must(["get", "cm", "replaced", "-o", "jsonpath={.metadata.uid}"]);
  expect(uid).not.toBe(read.metadata.uid);
});

test.each(["background", "foreground", "orphan"])("delete --cascade=%s does so", async (cascade) => {
  const [owner, dependent] = [`owner-${cascade}`, `dependent-${cascade}`];
  await kubectl.must(["create", "configmap", owner]);
  const uid = await kubectl.must(["get", "cm", owner, "-o", "jsonpath={.metadata.uid}"]);
  const ownerReferences = [
    { apiVersion: "v1", kind: "ConfigMap", name: owner, uid, blockOwnerDeletion: true },
  ];
  const metadata = { name: dependent, ownerReferences };
  await kubectl.must(["create", "-f", "-"], JSON.stringify({ ...configMap(dependent), metadata }));
  await kubectl.must(["delete", "cm", owner, `--cascade=${cascade}`]);
  if (cascade === "orphan") {
    const free = ["wait", "--for=jsonpath={.metadata.name}", `cm/${dependent}`, "--timeout=10s"];
    await kubectl.must(free);
    const owners = ["get", "cm", dependent, "-o", "jsonpath={.metadata.ownerReferences}"];
    expect(await kubectl.must(owners)).toBe("");
  } else await kubectl.must(["wait", "--for=delete", `cm/${dependent}`, "--timeout=10s"]);
});

test("a secret of a known type has the keys of that type", async () => {
  const create = (type: string) =>
    kubectl.run(["create", "secret", "generic", "typed", `--type=${type}`, "--from-literal=a=b"]);
  expect((await create("kubernetes.io/tls")).stderr).toContain(
    "[data[tls.crt]: Required value, data[tls.key]: Required value]",
  );
  expect((await create("kubernetes.io/ssh-auth")).stderr).toContain("data[ssh-privatekey]: Required value");
  expect((await create("my.own/type")).stdout).toBe("secret/typed created\n");
});

test("a large or binary ConfigMap is kept as it is; one beyond the limit is refused", async () => {
  const data = "x".repeat(2 ** 20);
  await kubectl.must(["create", "-f", "-"], JSON.stringify(configMap("large", { data: { data } })));
  const read = await kubectl.must(["get", "cm", "large", "-o", "jsonpath={.data.data}"]);
  expect(read === data).toBeTrue();
  const more = JSON.stringify(configMap("larger", { data: { data: `${data}x` } }));
  expect((await kubectl.run(["create", "-f", "-"], more)).stderr).toContain(
    "may not be more than 1048576 bytes",
  );
  const binaryData = { raw: Buffer.from([0, 255, 128]).toString("base64") };
  await kubectl.must(["create", "-f", "-"], JSON.stringify(configMap("binary", { binaryData })));
  expect(await kubectl.must(["describe", "cm", "binary"])).toMatch(/BinaryData\n====\nraw: 3 bytes/);
});

test("what the cluster needs cannot be deleted", async () => {
  for (const name of ["default", "kube-system"]) {
    expect((await kubectl.run(["delete", "namespace", name])).stderr).toContain(
      `Error from server (Forbidden): namespaces "${name}" is forbidden: this namespace may not be deleted\n`,
    );
  }
});
