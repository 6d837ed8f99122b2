/** CustomResourceDefinitions and what they bring, as real kubectl drives them. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { PillionHome } from "../../src/testing/pillion.ts";
import { type KubectlSession, openKubectl } from "./kubectl-session.ts";

const TEST_MS = 60_000;
const MANIFEST = readFileSync(join(import.meta.dir, "custom-resources.yaml"), "utf8");

let home: PillionHome;
let kubectl: KubectlSession;

beforeAll(async () => {
  home = new PillionHome();
  await home.mustRun(["up", "-d"]);
  kubectl = await openKubectl(home, { version: "35", namespace: "default" });
  await kubectl.must(["apply", "-f", "-"], MANIFEST);
  await kubectl.must(["wait", "--for=condition=Established", "--timeout=10s", "crd", "--all"]);
}, TEST_MS);

afterAll(async () => {
  await home[Symbol.asyncDispose]();
}, TEST_MS);

function passport(name: string, spec: object = {}, more: object = {}): string {
  return JSON.stringify({
    apiVersion: "papers.example.com/v1",
    kind: "Passport",
    metadata: { name, ...more },
    spec: { secretName: name, issuerRef: { name: "city" }, ...spec },
  });
}

function watcher(name: string, spec: object, version = "v1"): string {
  return JSON.stringify({
    apiVersion: `monitor.example.com/${version}`,
    kind: "Watcher",
    metadata: { name },
    spec,
  });
}

async function apply(manifest: string): Promise<string> {
  return await kubectl.must(["apply", "-f", "-"], manifest);
}

async function refused(args: readonly string[], input?: string): Promise<string> {
  const { code, stderr } = await kubectl.run(args, input);
  expect(code).toBe(1);
  return stderr;
}

async function json(args: readonly string[]): Promise<{
  readonly apiVersion: string;
  readonly metadata: {
    readonly generation: number;
    readonly managedFields?: readonly { readonly manager: string }[];
  };
  readonly spec: Record<string, unknown>;
  readonly status?: unknown;
}> {
  return JSON.parse(await kubectl.must(["get", ...args, "-o", "json"]));
}

describe("an object of a new kind", () => {
  test("is applied right after its definition, with defaults, and shown in the definition's columns", async () => {
    const crd =
      MANIFEST.split("---")[1]?.replaceAll("watchers", "lookers").replaceAll("Watcher", "Looker") ?? "";
    expect(await kubectl.must(["create", "-f", "-"], crd)).toContain("created");
    await apply(watcher("first", {}).replace("Watcher", "Looker"));
    expect((await json(["lookers", "first"])).spec).toEqual({ replicas: 1 });
    await apply(passport("mine", { names: ["a"] }));
    expect((await json(["pass", "mine"])).spec).toEqual({
      secretName: "mine",
      issuerRef: { name: "city", kind: "Office" },
      names: ["a"],
      duration: "2160h",
      privateKey: { algorithm: "RSA", size: 2048 },
    });
    const table = await kubectl.must(["get", "papers"]);
    expect(table.split("\n")[0]?.split(/\s+/)).toEqual(["NAME", "READY", "SECRET", "AGE"]);
    expect(table).toMatch(/^mine +mine +\d+s$/m);
    expect(await kubectl.must(["get", "passport", "mine", "-o", "wide"])).toMatch(
      /ISSUER +AGE\nmine +mine +city/,
    );
  });

  test("has its status by the subresource only, and a generation that the status leaves alone", async () => {
    await apply(passport("stated"));
    const condition = { type: "Ready", status: "True" };
    const patch = JSON.stringify({ status: { conditions: [condition] }, spec: { secretName: "other" } });
    await kubectl.must(["patch", "pass", "stated", "--subresource=status", "--type=merge", "-p", patch]);
    expect(await json(["pass", "stated"])).toMatchObject({
      metadata: { generation: 1 },
      spec: { secretName: "stated" },
      status: { conditions: [condition] },
    });
    await kubectl.must(["patch", "pass", "stated", "--type=merge", "-p", patch]);
    expect(await json(["pass", "stated"])).toMatchObject({
      metadata: { generation: 2 },
      spec: { secretName: "other" },
    });
    await kubectl.must(["wait", "--for=condition=Ready", "pass/stated", "--timeout=5s"]);
    const bad = JSON.stringify({ status: { conditions: [{ type: "Ready", status: "maybe" }] } });
    expect(
      await refused(["patch", "pass", "stated", "--subresource=status", "--type=merge", "-p", bad]),
    ).toContain(
      'status.conditions[0].status: Unsupported value: "maybe": supported values: "True", "False", "Unknown"',
    );
  });

  test("is scaled where its definition says", async () => {
    await apply(watcher("scaled", { replicas: 2 }));
    await kubectl.must(["scale", "watcher", "scaled", "--replicas=5"]);
    expect((await json(["watcher", "scaled"])).spec).toEqual({ replicas: 5 });
  });

  test("is patched by JSON patch and merge patch, not by a strategic one", async () => {
    await apply(passport("patched"));
    await kubectl.must([
      "patch",
      "pass",
      "patched",
      "--type=json",
      "-p",
      '[{"op":"add","path":"/spec/names","value":["x"]}]',
    ]);
    await kubectl.must(["patch", "pass", "patched", "--type=merge", "-p", '{"spec":{"duration":null}}']);
    expect((await json(["pass", "patched"])).spec).toMatchObject({ names: ["x"], duration: "2160h" });
    expect(await refused(["patch", "pass", "patched", "-p", "{}"])).toContain(
      "application/strategic-merge-patch+json is not supported by papers.example.com/v1, Kind=Passport",
    );
  });

  test("is told apart by labels, deleted as a collection, and kept by finalizers", async () => {
    for (const name of ["a", "b"]) await apply(passport(name, {}, { labels: { of: "many" } }));
    await apply(passport("held", {}, { labels: { of: "many" }, finalizers: ["example.com/hold"] }));
    expect(await kubectl.must(["get", "pass", "-l", "of=many", "-o", "name"])).toBe(
      ["a", "b", "held"].map((name) => `passport.papers.example.com/${name}\n`).join(""),
    );
    expect(await kubectl.must(["get", "pass", "--field-selector", "metadata.name=b", "-o", "name"])).toBe(
      "passport.papers.example.com/b\n",
    );
    await kubectl.must(["delete", "pass", "-l", "of=many", "--wait=false"]);
    expect(await kubectl.must(["get", "pass", "-l", "of=many", "-o", "name"])).toBe(
      "passport.papers.example.com/held\n",
    );
    await kubectl.must(["patch", "pass", "held", "--type=merge", "-p", '{"metadata":{"finalizers":null}}']);
    expect(await refused(["get", "pass", "held"])).toContain('passports.papers.example.com "held" not found');
  });

  test("goes with its owner", async () => {
    await apply(passport("owner"));
    const uid = await kubectl.must(["get", "pass", "owner", "-o", "jsonpath={.metadata.uid}"]);
    const ownerReferences = [{ apiVersion: "papers.example.com/v1", kind: "Passport", name: "owner", uid }];
    const owned = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "owned", ownerReferences } };
    await apply(JSON.stringify(owned));
    await apply(passport("owned", {}, { ownerReferences }));
    await kubectl.must(["delete", "pass", "owner"]);
    await kubectl.must(["wait", "--for=delete", "cm/owned", "pass/owned", "--timeout=10s"]);
  });

  test("goes with its namespace", async () => {
    await kubectl.must(["create", "namespace", "brief"]);
    await kubectl.must(["apply", "-n", "brief", "-f", "-"], passport("inside"));
    await kubectl.must(["delete", "namespace", "brief"]);
    expect(await kubectl.must(["get", "pass", "-A", "-o", "name"])).not.toContain("inside");
  });
});

describe("a schema", () => {
  test("is explained", async () => {
    const text = await kubectl.must(["explain", "passport.spec"]);
    expect(text).toContain("GROUP:      papers.example.com");
    expect(text).toContain("What is wanted of the passport.");
    expect(text).toMatch(/secretName\t<string> -required-\n {4}Where it goes\./);
    expect(await kubectl.must(["explain", "watcher.spec.endpoints.port"])).toContain("VERSION:    v1\n");
    expect(await kubectl.must(["explain", "passport.metadata.labels"])).toContain("<map[string]string>");
  });

  test("refuses what does not fit, all at once", async () => {
    const spec = {
      secretName: "",
      issuerRef: { name: "City" },
      usages: ["war"],
      names: ["a", "a"],
      duration: 1,
    };
    expect(await refused(["apply", "-f", "-"], passport("bad", { ...spec, privateKey: { size: 1 } }))).toBe(
      [
        'The Passport "bad" is invalid: ',
        '* spec.duration: Invalid value: "integer": spec.duration in body must be of type string: "integer"',
        `* spec.issuerRef.name: Invalid value: "City": spec.issuerRef.name in body should match '^[a-z]([-a-z0-9]*[a-z0-9])?$'`,
        "* spec.privateKey.size: Invalid value: 1: spec.privateKey.size in body should be greater than or equal to 256",
        '* spec.secretName: Invalid value: "": spec.secretName in body should be at least 1 chars long',
        '* spec.usages[0]: Unsupported value: "war": supported values: "signing", "travel"',
        '* spec.names[1]: Duplicate value: "a"',
        "",
      ].join("\n"),
    );
    const bare = { apiVersion: "papers.example.com/v1", kind: "Passport", metadata: { name: "bare" } };
    expect(await refused(["apply", "-f", "-"], JSON.stringify(bare))).toContain(
      'The Passport "bare" is invalid: spec: Required value',
    );
  });

  test("names unknown fields: refused, warned of, or dropped in silence", async () => {
    const manifest = passport("strict", { issuerRef: { name: "city", x: 1 }, y: {} });
    expect(await refused(["create", "-f", "-"], manifest)).toContain(
      'strict decoding error: unknown field "spec.issuerRef.x", unknown field "spec.y"',
    );
    const warned = await kubectl.run(["create", "-f", "-", "--validate=warn"], manifest);
    expect(warned).toMatchObject({
      code: 0,
      stderr: 'Warning: unknown field "spec.issuerRef.x"\nWarning: unknown field "spec.y"\n',
    });
    expect((await json(["pass", "strict"])).spec).not.toHaveProperty("y");
  });

  test("keeps what it is told to keep", async () => {
    const spec = {
      extra: { any: [{ thing: 1 }] },
      endpoints: [{ port: "web", params: { a: ["b"] } }, { port: 80 }],
    };
    await apply(watcher("free", spec));
    expect((await json(["watcher", "free"])).spec).toEqual({
      ...spec,
      endpoints: [
        { port: "web", params: { a: ["b"] }, interval: "30s" },
        { port: 80, interval: "30s" },
      ],
      replicas: 1,
    });
  });

  test("has rules, of which some look at what was there before", async () => {
    expect(await refused(["apply", "-f", "-"], watcher("ruled", { min: 3, replicas: 1 }))).toBe(
      'The Watcher "ruled" is invalid: spec: Invalid value: "object": min must not be above replicas\n',
    );
    await apply(watcher("ruled", { min: 1, job: "a" }));
    expect(await refused(["apply", "-f", "-"], watcher("ruled", { min: 1, job: "b" }))).toBe(
      'The Watcher "ruled" is invalid: spec: Invalid value: "object": job is immutable\n',
    );
  });
});

describe("server-side apply", () => {
  const SSA = ["apply", "--server-side", "-f", "-"];

  test("merges map lists by their keys, and leaves others what is theirs", async () => {
    await kubectl.must(
      SSA,
      watcher("shared", { endpoints: [{ port: "a" }], selector: { matchLabels: { x: "1" } } }),
    );
    await kubectl.must(
      [...SSA, "--field-manager=other"],
      watcher("shared", { endpoints: [{ port: "b", interval: "5s" }] }),
    );
    expect((await json(["watcher", "shared"])).spec["endpoints"]).toEqual([
      { port: "a", interval: "30s" },
      { port: "b", interval: "5s" },
    ]);
    await kubectl.must(SSA, watcher("shared", { selector: { matchLabels: { y: "2" } } }));
    expect((await json(["watcher", "shared"])).spec).toMatchObject({
      endpoints: [{ port: "b", interval: "5s" }],
      selector: { matchLabels: { y: "2" } },
    });
    const taken = watcher("shared", { endpoints: [{ port: "b", interval: "9s" }] });
    expect(await refused(SSA, taken)).toContain('conflict with "other": .spec.endpoints[port="b"].interval');
  });
});

describe("versions", () => {
  test("show one object each in its own", async () => {
    const warned = await kubectl.run(["apply", "-f", "-"], watcher("old", { job: "j" }, "v1alpha1"));
    expect(warned.stderr).toBe(
      "Warning: monitor.example.com/v1alpha1 Watcher is deprecated; use monitor.example.com/v1 Watcher\n",
    );
    expect((await json(["watcher", "old"])).apiVersion).toBe("monitor.example.com/v1");
    expect((await json(["watchers.v1alpha1.monitor.example.com", "old"])).apiVersion).toBe(
      "monitor.example.com/v1alpha1",
    );
  });
});

describe("a definition", () => {
  function definition(change: (text: string) => string): string {
    return change(MANIFEST.split("---")[0] ?? "")
      .replaceAll("passports", "visas")
      .replaceAll("Passport", "Visa")
      .replaceAll("passport", "visa")
      .replace("[pass, passes]", "[vs]");
  }

  test.each([
    [
      "a field without a type",
      (text: string) => text.replace("type: string, minLength: 1,", "minLength: 1,"),
      "spec.validation.openAPIV3Schema.properties[spec].properties[secretName].type: Required value: must not be empty for specified object fields",
    ],
    [
      "a reference",
      (text: string) => text.replace("metadata: { type: object }", 'metadata: { $ref: "#/x" }'),
      "spec.validation.openAPIV3Schema.properties[metadata].$ref: Forbidden: $ref is not supported",
    ],
    [
      "a pattern that is none",
      (text: string) => text.replace('"^[a-z]([-a-z0-9]*[a-z0-9])?$"', '"["'),
      'properties[name].pattern: Invalid value: "[": must be a valid regular expression, but isn\'t: error parsing regexp: missing closing ]: `[`',
    ],
    [
      "a key that need not be there",
      (text: string) => text.replace("required: [type, status]", "required: [status]"),
      "spec.validation.openAPIV3Schema.properties[status].properties[conditions].items.properties[type].default: Required value: this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property",
    ],
    [
      "a default that does not fit",
      (text: string) => text.replace("default: 2048", "default: 1"),
      "properties[size].default: Invalid value: 1: ",
    ],
    [
      "no version that is stored",
      (text: string) => text.replace("storage: true", "storage: false"),
      'spec.versions: Invalid value: ["v1"]: must have exactly one version marked as storage version',
    ],
    [
      "another name",
      (text: string) => text.replace("name: passports.papers", "name: wrong.papers"),
      'metadata.name: Invalid value: "wrong.papers.example.com": must be spec.names.plural+"."+spec.group',
    ],
    [
      "conversion by a webhook",
      (text: string) =>
        text.replace("scope: Namespaced", "scope: Namespaced\n  conversion: { strategy: Webhook }"),
      "spec.conversion.strategy: Forbidden: pillion: conversion by a webhook is not supported",
    ],
  ])("is refused with %s", async (_, change, message) => {
    expect(await refused(["create", "-f", "-"], definition(change))).toContain(message);
  });

  test("waits for names that another one has", async () => {
    const taken = definition((text) => text).replace("[vs]", "[pass]");
    await kubectl.must(["create", "-f", "-"], taken);
    const path = "-o=jsonpath={range .status.conditions[*]}{.type} {.status} {.reason} {.message};{end}";
    expect(await kubectl.must(["get", "crd", "visas.papers.example.com", path])).toBe(
      'NamesAccepted False ShortNamesConflict "pass" is already in use;Established False NotAccepted not all names are accepted;',
    );
    expect(await refused(["get", "visas"])).toContain(`the server doesn't have a resource type "visas"`);
    await kubectl.must(["delete", "crd", "visas.papers.example.com"]);
  });

  test("takes its objects along, and their finalizers hold it", async () => {
    await kubectl.must(
      ["create", "-f", "-"],
      definition((text) => text),
    );
    const visa = (name: string, finalizers: readonly string[]) =>
      passport(name, {}, { finalizers }).replace("Passport", "Visa");
    await apply(visa("free", []));
    await apply(visa("held", ["example.com/hold"]));
    await kubectl.must(["delete", "crd", "visas.papers.example.com", "--wait=false"]);
    expect(await kubectl.must(["get", "visas", "-o", "name"])).toBe("visa.papers.example.com/held\n");
    const path =
      '-o=jsonpath={.status.conditions[?(@.type=="Terminating")].reason} {.metadata.finalizers[0]}';
    expect(await kubectl.must(["get", "crd", "visas.papers.example.com", path])).toBe(
      "InstanceDeletionInProgress customresourcecleanup.apiextensions.k8s.io",
    );
    expect(await refused(["create", "-f", "-"], visa("late", []))).toContain(
      "create not allowed while custom resource definition is terminating",
    );
    await kubectl.must(["patch", "visa", "held", "--type=merge", "-p", '{"metadata":{"finalizers":null}}']);
    await kubectl.must(["wait", "--for=delete", "crd/visas.papers.example.com", "--timeout=10s"]);
    expect(await kubectl.must(["api-resources", "--api-group=papers.example.com", "-o", "name"])).toBe(
      "passports.papers.example.com\n",
    );
  });

  test("lets roles speak of what it brings", async () => {
    await kubectl.must(["create", "serviceaccount", "reader"]);
    await kubectl.must([
      "create",
      "role",
      "reader",
      "--verb=get,list",
      "--resource=passports.papers.example.com",
    ]);
    await kubectl.must([
      "create",
      "rolebinding",
      "reader",
      "--role=reader",
      "--serviceaccount=default:reader",
    ]);
    const as = "--as=system:serviceaccount:default:reader";
    await kubectl.must(["get", "passports", as]);
    const bad = await refused(["delete", "passports", "--all", as]);
    expect(bad).toContain(
      'cannot delete resource "passports" in API group "papers.example.com" in the namespace "default"',
    );
    expect(await refused(["get", "watchers", as])).toContain('cannot list resource "watchers"');
  });
});

test(
  "`up -f` brings definitions and objects, whatever order they stand in, and changes them",
  async () => {
    const crd = (MANIFEST.split("---")[1] ?? "")
      .replaceAll("watchers", "guards")
      .replaceAll("Watcher", "Guard");
    const guard = (replicas: number) => watcher("gate", { replicas }).replace("Watcher", "Guard");
    const file = join(home.path, "guards.yaml");
    writeFileSync(file, `${guard(1)}\n---\n${crd}`);
    const { stderr } = await home.mustRun(["up", "-d", "-f", file]);
    expect(stderr).toContain("guard.monitor.example.com/gate created");
    writeFileSync(file, guard(4));
    expect((await home.mustRun(["up", "-d", "-f", file])).stderr).toContain(
      "guard.monitor.example.com/gate configured",
    );
    expect((await json(["guards", "gate"])).spec).toEqual({ replicas: 4 });
  },
  TEST_MS,
);

test(
  "definitions and objects are there again after a restart",
  async () => {
    await apply(passport("kept"));
    await home.mustRun(["down", "--keep-state"]);
    await home.mustRun(["up", "-d"]);
    kubectl = await openKubectl(home, { version: "35", namespace: "default" });
    expect((await json(["pass", "kept"])).spec).toMatchObject({ secretName: "kept", duration: "2160h" });
  },
  TEST_MS,
);
