import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  closeSync,
  existsSync,
  fstatSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  watch,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import type { ConfigMap, PodSpec, Secret, Volume } from "../../../../generated/kubernetes.ts";
import type { StoredPod } from "../../../k8s/pod.ts";
import { writeVolumeAtomically } from "./atomic-writer.ts";
import { prepareHostPath } from "./host-path.ts";
import { volumePayload, type Payload, type PayloadFile } from "./payload.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "volumes-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const NOW = Date.UTC(2026, 0, 1, 8, 15);

function payload(files: Readonly<Record<string, string>>, mode = 0o644): Payload {
  return new Map(Object.entries(files).map(([path, text]) => [path, { data: Buffer.from(text), mode }]));
}

describe("writeVolumeAtomically()", () => {
  const write = (files: Readonly<Record<string, string>>, mode?: number) =>
    writeVolumeAtomically(folder, payload(files, mode), { now: NOW });

  test("lays files out as programs that watch ConfigMaps expect [V9]", () => {
    write({ a: "1", "dir/b": "2", "dir/c": "3" });
    const data = readlinkSync(join(folder, "..data"));
    expect(data).toMatch(/^\.\.2026_01_01_08_15_00\.\d+$/);
    expect(readdirSync(folder).sort()).toEqual(["..data", data, "a", "dir"].sort());
    expect(readlinkSync(join(folder, "a"))).toBe("..data/a");
    expect(readlinkSync(join(folder, "dir"))).toBe("..data/dir");
    expect(readFileSync(join(folder, "dir/b"), "utf8")).toBe("2");
  });

  test("replaces all files in one rename, and takes away what is gone [V9]", () => {
    write({ a: "1", old: "x" });
    const before = readlinkSync(join(folder, "..data"));
    write({ a: "2", "new/b": "y" });
    expect(readlinkSync(join(folder, "..data"))).not.toBe(before);
    expect(existsSync(join(folder, before))).toBe(false);
    expect(
      readdirSync(folder)
        .filter((name) => !name.startsWith(".."))
        .sort(),
    ).toEqual(["a", "new"]);
    expect(readFileSync(join(folder, "a"), "utf8")).toBe("2");
  });

  test("writes nothing when nothing has changed [V9]", () => {
    expect(write({ a: "1" })).toBe(true);
    const before = readlinkSync(join(folder, "..data"));
    expect(write({ a: "1" })).toBe(false);
    expect(readlinkSync(join(folder, "..data"))).toBe(before);
    expect(write({ a: "1", b: "" })).toBe(true);
    expect(write({ a: "1" })).toBe(true);
  });

  test("is seen by who watches the folder as a rename of ..data; an open file never changes [V10]", async () => {
    write({ a: "1" });
    const { promise: moved, resolve } = Promise.withResolvers<string>();
    const watcher = watch(folder, (_event, name) => name === "..data" && resolve(name));
    const open = openSync(join(folder, "a"), "r");
    const inode = fstatSync(open).ino;
    write({ a: "2" });
    expect(await moved).toBe("..data");
    watcher.close();
    expect(readFileSync(open, "utf8")).toBe("1");
    expect(fstatSync(open).ino).toBe(inode);
    expect(statSync(join(folder, "a")).ino).not.toBe(inode);
    closeSync(open);
  });

  test("leaves folders alone that others made for their mounts", () => {
    write({ a: "1" });
    mkdirSync(join(folder, "mount/point"), { recursive: true });
    mkdirSync(join(folder, "b"));
    write({ b: "2" });
    expect(readdirSync(join(folder, "mount"))).toEqual(["point"]);
    expect(lstatSync(join(folder, "b")).isDirectory()).toBe(true);
    expect(existsSync(join(folder, "a"))).toBe(false);
  });

  test("takes a megabyte and odd names", () => {
    const big = "x".repeat(1024 * 1024);
    const files = { big, ".hidden": "h", "a.b-c_D": "", _: "u", ["k".repeat(253)]: "long" };
    write(files);
    for (const [name, text] of Object.entries(files))
      expect(readFileSync(join(folder, name), "utf8")).toBe(text);
  });

  test("of nothing leaves an empty folder", () => {
    write({ a: "1" });
    write({});
    expect(readdirSync(folder).filter((name) => !name.startsWith(".."))).toEqual([]);
  });

  test.each(["", "/etc/passwd", "../x", "..x", "a/../../x", "a//b", "./a", "a/.", "nul\0", "x".repeat(256)])(
    "refuses the path %j and writes nothing [V9]",
    (path) => {
      expect(() => write({ good: "1", [path]: "2" })).toThrow("invalid path");
      expect(readdirSync(folder)).toEqual([]);
    },
  );

  test("refuses to follow a link that somebody put in the place of its own", () => {
    const outside = join(folder, "outside");
    const volume = join(folder, "volume");
    mkdirSync(outside);
    mkdirSync(volume);
    symlinkSync(outside, join(volume, "..data"));
    expect(() => writeVolumeAtomically(volume, payload({ a: "1" }), { now: NOW })).toThrow("unexpected link");
    expect(readdirSync(outside)).toEqual([]);
  });

  test("always shows the last payload, whatever came before [V9]", () => {
    const name = fc.constantFrom("a", "b", "dir/a", "dir/b", "deep/er/c");
    const files = fc.dictionary(name, fc.string({ maxLength: 5 }), { maxKeys: 5 });
    fc.assert(
      fc.property(fc.array(files, { minLength: 1, maxLength: 5 }), (list) => {
        for (const one of list) write(one);
        const last = list.at(-1) ?? {};
        for (const [path, text] of Object.entries(last))
          expect(readFileSync(join(folder, path), "utf8")).toBe(text);
        const names = new Set(Object.keys(last).map((path) => path.split("/")[0]));
        const visible = readdirSync(folder).filter((entry) => !entry.startsWith(".."));
        expect(new Set(visible)).toEqual(names as Set<string>);
      }),
      { numRuns: 50 },
    );
  });
});

const pod: StoredPod = {
  metadata: { name: "p", namespace: "default", uid: "u", labels: { app: "web" } },
  spec: { containers: [{ name: "c", resources: { limits: { cpu: "2" } } }] },
};

interface Objects {
  readonly configMap?: ConfigMap;
  readonly secret?: Secret;
}

function payloadOf(volume: Omit<Volume, "name">, objects: Objects = {}, spec: Partial<PodSpec> = {}) {
  const found = volumePayload(
    { name: "v", ...volume },
    {
      pod: { ...pod, spec: { ...pod.spec, ...spec } },
      addresses: { hostIPs: [], podIPs: [] },
      objects: {
        configMap: () => objects.configMap,
        secret: () => objects.secret,
        claim: () => undefined,
        persistentVolume: () => undefined,
        services: () => [],
      },
      allocatable: {},
      token: ({ audience = "api", expirationSeconds }) => `token for ${audience} ${expirationSeconds}`,
    },
  );
  return found ?? new Map<string, PayloadFile>();
}

function contents(volume: Omit<Volume, "name">, objects: Objects = {}) {
  const found = payloadOf(volume, objects);
  return [...found].map(
    ([path, { data, mode }]) => `${path} ${mode.toString(8)} ${Buffer.from(data).toString()}`,
  );
}

describe("volumePayload()", () => {
  const configMap = { data: { a: "1", b: "2" }, binaryData: { bin: Buffer.from("raw").toString("base64") } };
  const secret = { data: { token: Buffer.from("s3cret").toString("base64") } };

  test("all keys of a ConfigMap with the default mode [V7]", () => {
    expect(contents({ configMap: { name: "c" } }, { configMap })).toEqual([
      "a 644 1",
      "b 644 2",
      "bin 644 raw",
    ]);
    expect(contents({ configMap: { name: "c", defaultMode: 0o400 } }, { configMap })[0]).toBe("a 400 1");
  });

  test("listed keys under their paths and modes [V7]", () => {
    const items = [
      { key: "b", path: "conf.d/b.conf" },
      { key: "bin", path: "bin", mode: 0o755 },
    ];
    expect(contents({ configMap: { name: "c", items } }, { configMap })).toEqual([
      "conf.d/b.conf 644 2",
      "bin 755 raw",
    ]);
  });

  test("the decoded values of a Secret", () => {
    expect(contents({ secret: { secretName: "s" } }, { secret })).toEqual(["token 644 s3cret"]);
  });

  test.each<[string, Omit<Volume, "name">]>([
    ['configmap "c" not found', { configMap: { name: "c" } }],
    ['secret "s" not found', { secret: { secretName: "s" } }],
    [
      'projected source "clusterTrustBundle" is not supported: use configMap, secret, downwardAPI or serviceAccountToken',
      { projected: { sources: [{ clusterTrustBundle: { path: "t" } }] } },
    ],
    [
      '[configmap "c" not found, secret "s" not found]',
      { projected: { sources: [{ configMap: { name: "c" } }, { secret: { name: "s" } }] } },
    ],
    [
      "unsupported fieldPath: status.phase",
      { downwardAPI: { items: [{ path: "x", fieldRef: { fieldPath: "status.phase" } }] } },
    ],
  ])("%s", (message, volume) => {
    expect(() => contents(volume)).toThrow(message);
  });

  test("a key that is missing, unless it is optional [V7, V14]", () => {
    const items = [{ key: "nope", path: "x" }];
    expect(() => contents({ configMap: { name: "c", items } }, { configMap })).toThrow(
      "configmap references non-existent config key: nope",
    );
    expect(() => contents({ secret: { secretName: "s", items } }, { secret })).toThrow(
      "references non-existent secret key: nope",
    );
    expect(contents({ configMap: { name: "c", items, optional: true } }, { configMap })).toEqual([]);
    expect(contents({ configMap: { name: "c", optional: true } })).toEqual([]);
  });

  test("fields of the pod, and several sources in one tree: later ones win [V15, V16]", () => {
    const downwardAPI = {
      items: [
        { path: "labels", fieldRef: { fieldPath: "metadata.labels" } },
        { path: "cpu", resourceFieldRef: { containerName: "c", resource: "limits.cpu" }, mode: 0o600 },
      ],
    };
    expect(contents({ downwardAPI })).toEqual(['labels 644 app="web"', "cpu 600 2"]);
    const sources = [
      { configMap: { name: "c" } },
      { secret: { name: "s", items: [{ key: "token", path: "a" }] } },
      { downwardAPI },
    ];
    expect(contents({ projected: { sources, defaultMode: 0o440 } }, { configMap, secret })).toEqual([
      "a 440 s3cret",
      "b 440 2",
      "bin 440 raw",
      'labels 440 app="web"',
      "cpu 600 2",
    ]);
  });
});

describe("a token of the service account", () => {
  const projected = { sources: [{ serviceAccountToken: { path: "t" } }] };

  test("lives an hour unless asked otherwise, for an audience when one is named [V15]", () => {
    expect(contents({ projected })).toEqual(["t 644 token for api 3600"]);
    const asked = { path: "t", audience: "vault", expirationSeconds: 600 };
    expect(
      contents({ projected: { sources: [{ serviceAccountToken: asked }], defaultMode: 0o440 } }),
    ).toEqual(["t 440 token for vault 600"]);
  });

  test.each<[string, Partial<PodSpec>, string]>([
    ["the user of all containers alone", { securityContext: { runAsUser: 1000 } }, "600 1000"],
    ["nobody but root and the group with fsGroup", { securityContext: { fsGroup: 5 } }, "600 -"],
    [
      "all, when the containers run as different users",
      {
        containers: [
          { name: "a", securityContext: { runAsUser: 1 } },
          { name: "b", securityContext: { runAsUser: 2 } },
        ],
      },
      "644 -",
    ],
    [
      "all, when one container does not say who it is",
      { containers: [{ name: "a", securityContext: { runAsUser: 1 } }, { name: "b" }] },
      "644 -",
    ],
  ])("is for %s [V15]", (_whom, spec, expected) => {
    const file = payloadOf({ projected }, {}, spec).get("t");
    expect(`${file?.mode.toString(8)} ${file?.owner ?? "-"}`).toBe(expected);
  });
});

describe("prepareHostPath()", () => {
  const nodeFolders = (shared: string[] = []) => {
    mkdirSync(join(folder, "node/data"), { recursive: true });
    writeFileSync(join(folder, "node/data/file"), "");
    return { nodeRoot: join(folder, "node"), shared };
  };

  test("means the node's throw-away root, and makes what is missing there [V6]", () => {
    const node = nodeFolders();
    expect(prepareHostPath({ path: "/data" }, node)).toEqual({
      root: node.nodeRoot,
      path: "data",
      isShared: false,
    });
    expect(prepareHostPath({ path: "/" }, node)).toMatchObject({ root: node.nodeRoot, path: "" });
    expect(prepareHostPath({ path: "/var/new", type: "DirectoryOrCreate" }, node).path).toBe("var/new");
    expect(statSync(join(node.nodeRoot, "var/new")).mode & 0o777).toBe(0o755);
    prepareHostPath({ path: "/var/new/f", type: "FileOrCreate" }, node);
    expect(statSync(join(node.nodeRoot, "var/new/f")).isFile()).toBe(true);
    expect(statSync(join(node.nodeRoot, "var/new/f")).mode & 0o777).toBe(0o644);
    for (const type of ["", "File"])
      expect(prepareHostPath({ path: "/data/file", type }, node).path).toBe("data/file");
  });

  test("of a shared folder is the real one", () => {
    const shared = join(folder, "real");
    mkdirSync(join(shared, "sub"), { recursive: true });
    const node = nodeFolders([shared]);
    expect(prepareHostPath({ path: `${shared}/sub` }, node)).toEqual({
      root: shared,
      path: "sub",
      isShared: true,
    });
    expect(() => prepareHostPath({ path: `${shared}/missing` }, node)).toThrow("does not exist");
    expect(prepareHostPath({ path: `${shared}-other` }, node).root).toBe(node.nodeRoot);
  });

  test.each([
    ["/data", "File", "hostPath type check failed: /data is not a file"],
    ["/data/file", "Directory", "hostPath type check failed: /data/file is not a directory"],
    ["/none", "Directory", "hostPath type check failed: /none is not a directory"],
    ["/none", "Socket", "hostPath type check failed: /none is not a socket file"],
    ["/data/file", "BlockDevice", "hostPath type check failed: /data/file is not a block device"],
    ["/data", "FileOrCreate", "hostPath type check failed: /data is not a file"],
    ["/data/file", "DirectoryOrCreate", "hostPath type check failed: /data/file is not a directory"],
    ["/data/file", "CharDevice", "hostPath type check failed: /data/file is not a character device"],
  ])("%s as %s: %s [V6]", (path, type, message) => {
    expect(() => prepareHostPath({ path, type }, nodeFolders())).toThrow(message);
  });

  test("never leads out: neither by dots nor by links that a container made", () => {
    const node = nodeFolders();
    mkdirSync(join(folder, "outside"));
    symlinkSync(join(folder, "outside"), join(node.nodeRoot, "escape"));
    symlinkSync("../../outside", join(node.nodeRoot, "data/climb"));
    expect(prepareHostPath({ path: "/../../../outside" }, node)).toMatchObject({
      root: node.nodeRoot,
      path: "outside",
    });
    prepareHostPath({ path: "/escape/made", type: "DirectoryOrCreate" }, node);
    prepareHostPath({ path: "/data/climb/made", type: "DirectoryOrCreate" }, node);
    expect(readdirSync(join(folder, "outside"))).toEqual([]);
    expect(lstatSync(join(node.nodeRoot, "outside/made")).isDirectory()).toBe(true);
  });
});
