import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import {
  lchownSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import * as fc from "fast-check";
import { tar } from "../../testing/tar-builder.ts";
import type { TarEntry } from "../../testing/tar-builder.ts";
import { SafeTree } from "./safe-tree.ts";
import { DEFAULT_LIMITS, unpackInto } from "./unpack.ts";
import type { UnpackLimits, Unpacked } from "./unpack.ts";

const base = mkdtempSync(join(tmpdir(), "pillion-unpack-"));
afterAll(() => {
  // Who is not root cannot remove what is in a read-only folder; the tree can.
  new SafeTree(base).remove("");
  rmSync(base, { recursive: true });
});

/** As root, or in a user namespace with more than one id. */
function canChangeOwner(): boolean {
  const file = join(base, "probe");
  writeFileSync(file, "");
  try {
    lchownSync(file, 33, 33);
    return true;
  } catch {
    return false;
  } finally {
    rmSync(file);
  }
}

let count = 0;
let root = "";
let outside = "";
beforeEach(() => {
  outside = join(base, String(count++));
  root = join(outside, "root");
  mkdirSync(root, { recursive: true });
  writeFileSync(join(outside, "secret"), "untouched");
});

async function* inChunks(bytes: Uint8Array, size = 1_000): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function unpack(
  layers: readonly (Uint8Array | readonly TarEntry[])[],
  limits?: UnpackLimits,
): Promise<Unpacked> {
  const unpacker = unpackInto(root, limits);
  for (const layer of layers)
    await unpacker.layer(inChunks(layer instanceof Uint8Array ? layer : tar(layer)));
  return unpacker.finish();
}

/** Every path below the root with what it is. */
function tree(folder = root, prefix = ""): Record<string, string> {
  const entries = readdirSync(folder)
    .toSorted()
    .flatMap((name) => {
      const full = join(folder, name);
      const found = lstatSync(full);
      const path = prefix + name;
      if (found.isDirectory())
        return [[`${path}/`, found.mode.toString(8).slice(-4)], ...Object.entries(tree(full, `${path}/`))];
      if (found.isSymbolicLink()) return [[path, `-> ${readlinkSync(full)}`]];
      return [[path, readFileSync(full, "utf8").slice(0, 40)]];
    });
  return Object.fromEntries(entries) as Record<string, string>;
}

const isRoot = process.getuid?.() === 0;

describe("a layer", () => {
  test("is unpacked with modes, times, links and folders that it does not list", async () => {
    const result = await unpack([
      [
        { name: "./", type: "5", mode: 0o755 },
        { name: "./bin/", type: "5", mode: 0o555 },
        { name: "./bin/tool", content: "#!", mode: 0o4755, mtime: 1_000_000_000 },
        { name: "bin/alias", type: "2", linkName: "/bin/tool" },
        { name: "bin/twin", type: "1", linkName: "bin/tool" },
        { name: "a/b/c", content: "deep" },
        { name: "/etc/absolute", content: "inside" },
        { name: "dev/null", type: "3" },
        { name: "run/pipe", type: "6" },
        { name: "odd", type: "Z", content: "skipped" },
      ],
    ]);
    expect(tree()).toEqual({
      "a/": "0755",
      "a/b/": "0755",
      "a/b/c": "deep",
      "bin/": "0555",
      "bin/alias": "-> /bin/tool",
      "bin/tool": "#!",
      "bin/twin": "#!",
      "dev/": "0755",
      "etc/": "0755",
      "etc/absolute": "inside",
      "run/": "0755",
    });
    const tool = lstatSync(join(root, "bin/tool"));
    expect([tool.mtimeMs, tool.nlink, (tool.mode & 0o7777).toString(8)]).toEqual([
      1_000_000_000_000,
      2,
      isRoot ? "4755" : "755",
    ]);
    expect(result).toEqual({
      bytes: 12,
      skipped: { devices: 1, fifos: 1, others: 1, capabilities: 0 },
      ownershipKept: isRoot,
    });
  });

  test.each([
    ["gzip", gzipSync],
    ["zstd", zstdCompressSync],
    [
      "several gzip members",
      (data: Uint8Array) => Buffer.concat([gzipSync(data.subarray(0, 700)), gzipSync(data.subarray(700))]),
    ],
  ])("may be compressed with %s", async (_name, compress) => {
    const seen: number[] = [];
    const plain = tar([{ name: "f", content: "x".repeat(5_000) }]);
    await unpackInto(root).layer(inChunks(compress(plain), 7), (chunk) => seen.push(chunk.length));
    expect(tree()).toEqual({ f: "x".repeat(40) });
    expect(seen.reduce((a, b) => a + b, 0)).toBe(plain.length);
  });

  test("keeps names that are no UTF-8, long names and long link targets", async () => {
    const long = `${"d".repeat(90)}/${"e".repeat(90)}/${"f".repeat(90)}`;
    const invalid = tar([{ name: "XX", content: "latin" }]);
    invalid.set([0xff, 0xfe], 0);
    // The header's sum changes with its name.
    const [before, after] = [0x58 * 2, 0xff + 0xfe];
    const sum = Number.parseInt(Buffer.from(invalid.subarray(148, 154)).toString(), 8) - before + after;
    invalid.set(Buffer.from(sum.toString(8).padStart(6, "0")), 148);
    await unpack([
      invalid,
      [
        { name: "short", longName: long, content: "gnu" },
        { name: "short", pax: { path: `pax/${long}`, mtime: "12.5" }, content: "pax" },
        { name: "link", type: "2", longLink: `/${long}` },
        { name: "ünïcödé", content: "u" },
      ],
    ]);
    expect(
      readdirSync(root, { encoding: "buffer" }).some((name) => name.equals(Buffer.from([0xff, 0xfe]))),
    ).toBe(true);
    expect(readFileSync(join(root, long), "utf8")).toBe("gnu");
    expect(readFileSync(join(root, "pax", long), "utf8")).toBe("pax");
    expect(lstatSync(join(root, "pax", long)).mtimeMs).toBe(12_500);
    expect(readlinkSync(join(root, "link"))).toBe(`/${long}`);
    expect(readFileSync(join(root, "ünïcödé"), "utf8")).toBe("u");
  });

  test.if(canChangeOwner())("keeps owners, numbers too large for octal included", async () => {
    const result = await unpack([
      [
        { name: "f", uid: 33, gid: 101, mode: 0o2755, content: "" },
        { name: "d", type: "5", uid: 33, gid: 33 },
        { name: "l", type: "2", linkName: "f", uid: 7, gid: 8 },
        { name: "big", pax: { uid: "3000000", gid: "3000001" }, content: "" },
      ],
    ]);
    const owner = (name: string): readonly number[] => {
      const { uid, gid } = lstatSync(join(root, name));
      return [uid, gid];
    };
    expect(["f", "d", "l", "big"].map(owner)).toEqual([
      [33, 101],
      [33, 33],
      [7, 8],
      [3_000_000, 3_000_001],
    ]);
    expect((lstatSync(join(root, "f")).mode & 0o7777).toString(8)).toBe("2755");
    expect(result.ownershipKept).toBe(true);
  });

  test("replaces files by folders, folders by files and links by either", async () => {
    await unpack([
      [
        { name: "a", content: "file" },
        { name: "b/x", content: "below" },
        { name: "c", type: "2", linkName: "/etc" },
        { name: "d", type: "2", linkName: "/etc/passwd" },
        { name: "e", content: "first" },
        { name: "f", type: "1", linkName: "e" },
      ],
      [
        { name: "a", type: "5" },
        { name: "b", content: "now a file" },
        { name: "c/y", content: "in a new folder" },
        { name: "d", content: "not the target" },
        { name: "e", content: "second" },
      ],
    ]);
    expect(tree()).toEqual({
      "a/": "0755",
      b: "now a file",
      "c/": "0755",
      "c/y": "in a new folder",
      d: "not the target",
      e: "second",
      f: "first",
    });
  });
});

describe("whiteouts", () => {
  const lower: readonly TarEntry[] = [
    { name: "etc/a", content: "1" },
    { name: "etc/b", content: "2" },
    { name: "etc/sub/c", content: "3" },
    { name: "keep", content: "4" },
  ];

  test("remove what lower layers have, whatever comes first in the layer", async () => {
    await unpack([
      lower,
      [
        { name: "etc/.wh.a" },
        { name: "etc/sub", type: "5" },
        { name: "etc/sub/new", content: "5" },
        { name: "etc/.wh.sub" },
        { name: "etc/.wh.nothing" },
        { name: "missing/.wh.x" },
      ],
    ]);
    expect(tree()).toEqual({
      "etc/": "0755",
      "etc/b": "2",
      "etc/sub/": "0755",
      "etc/sub/new": "5",
      keep: "4",
    });
  });

  test("make a folder opaque to lower layers only", async () => {
    const result = await unpack([
      lower,
      [
        { name: "etc/own", content: "6" },
        { name: "etc/.wh..wh..opq" },
        { name: "etc/later", content: "7" },
        { name: ".wh..wh.plnk" },
      ],
    ]);
    expect(tree()).toEqual({ "etc/": "0755", "etc/later": "7", "etc/own": "6", keep: "4" });
    expect(result.bytes).toBe(3);
  });

  test.each([".wh.", ".wh...", ".wh..", "etc/.wh..."])("are refused as %s", async (name) => {
    await expect(unpack([lower, [{ name }]])).rejects.toThrow("is not a whiteout");
    expect(readFileSync(join(outside, "secret"), "utf8")).toBe("untouched");
  });

  test("do not reach through a link", async () => {
    await unpack([
      [{ name: "out", type: "2", linkName: outside }],
      [{ name: "out/.wh.secret" }, { name: "out/.wh..wh..opq" }],
    ]);
    expect(readFileSync(join(outside, "secret"), "utf8")).toBe("untouched");
    expect(tree()).toEqual({ out: `-> ${outside}` });
  });
});

describe("a hostile archive is refused:", () => {
  test.each<[string, readonly TarEntry[], string]>([
    ["a name that leads out", [{ name: "../secret", content: "x" }], '"../secret" leads out of the image'],
    ["a name that leads out later", [{ name: "a/../../secret", content: "x" }], "leads out of the image"],
    ["a name that leads out, absolute", [{ name: "/../secret", content: "x" }], "leads out of the image"],
    [
      "a pax name that leads out",
      [{ name: "a", pax: { path: "../secret" }, content: "x" }],
      "leads out of the image",
    ],
    [
      "a GNU name that leads out",
      [{ name: "a", longName: "../secret", content: "x" }],
      "leads out of the image",
    ],
    ["a folder that leads out", [{ name: "..", type: "5" }], "leads out of the image"],
    [
      "writing through a link of the same layer",
      [
        { name: "out", type: "2", linkName: ".." },
        { name: "out/secret", content: "x" },
      ],
      '"out/secret" goes through the symbolic link "out"',
    ],
    [
      "writing through an absolute link, deeper",
      [
        { name: "a/out", type: "2", linkName: "/" },
        { name: "a/out/b/c", content: "x" },
      ],
      '"a/out/b/c" goes through the symbolic link "a/out"',
    ],
    [
      "a folder through a link",
      [
        { name: "out", type: "2", linkName: ".." },
        { name: "out/new/", type: "5" },
      ],
      "goes through the symbolic link",
    ],
    [
      "writing through a file",
      [
        { name: "f", content: "" },
        { name: "f/g", content: "x" },
      ],
      '"f/g" goes through the file "f"',
    ],
    [
      "a hard link that leads out",
      [{ name: "h", type: "1", linkName: "../secret" }],
      "leads out of the image",
    ],
    [
      "a hard link to an absolute name outside",
      [{ name: "h", type: "1", linkName: "/etc/passwd" }],
      "not a file of the image",
    ],
    [
      "a hard link through a link",
      [
        { name: "out", type: "2", linkName: ".." },
        { name: "h", type: "1", linkName: "out/secret" },
      ],
      "not a file of the image",
    ],
    [
      "a hard link to a folder",
      [
        { name: "d", type: "5" },
        { name: "h", type: "1", linkName: "d" },
      ],
      "not a file of the image",
    ],
    ["a link to nothing", [{ name: "l", type: "2" }], "is a link to nothing"],
    [
      "a root that is a link",
      [{ name: "./", type: "2", linkName: "/etc" }],
      "the root of the image is a symlink",
    ],
    ["a root that is a file", [{ name: ".", content: "x" }], "the root of the image is a file"],
    ["a wrong checksum", [{ name: "a", checksum: 1 }], "wrong checksum"],
    ["a sparse member", [{ name: "s", type: "S" }], "is a sparse member"],
    ["a pax sparse member", [{ name: "s", pax: { "GNU.sparse.major": "1" } }], "is a sparse member"],
    ["a volume of several", [{ name: "s", type: "M" }], "one volume of several"],
    [
      "a name longer than a name can be",
      [{ name: "x", longName: "n".repeat(300) }],
      "longer than a file name can be",
    ],
    [
      "a path longer than a path can be",
      [{ name: "x", longName: "d/".repeat(3_000) }],
      "longer than a file name can be",
    ],
    ["a huge extended header", [{ name: "x", longName: "n".repeat(1 << 21) }], "an extended header has"],
    ["a pax size that is none", [{ name: "x", pax: { size: "-5" } }], 'a pax header has the size "-5"'],
    [
      "a pax record of wrong length",
      [{ name: "pax", type: "x", content: "99 path=x\n" }, { name: "a" }],
      "record of wrong length",
    ],
    [
      "an owner that chown reads as -1",
      [{ name: "x", pax: { uid: "4294967295" } }],
      "has the owner 4294967295:0",
    ],
    [
      "an extended header with nothing after it",
      [{ name: "pax", type: "x", content: "10 path=x\n" }],
      "ends after an extended header",
    ],
  ])("%s", async (_name, entries, message) => {
    await expect(unpack([entries])).rejects.toThrow(message);
    expect(readFileSync(join(outside, "secret"), "utf8")).toBe("untouched");
    expect(readdirSync(outside).toSorted()).toEqual(["root", "secret"]);
  });

  test("one that is cut off, at any byte", async () => {
    const whole = tar([
      { name: "a", content: "x".repeat(600) },
      { name: "b", pax: { path: "c" }, content: "y" },
    ]);
    const contentEnd = whole.length - 1_024;
    for (const at of [1, 511, 513, 700, 1_535, 1_600, 2_100, contentEnd - 1]) {
      await expect(unpack([whole.subarray(0, at)])).rejects.toThrow(/cut off|ends after/);
    }
    // A zstd stream that ends early is found by the digest of the layer: the decoder does not report it.
    const packed = gzipSync(whole);
    await expect(unpack([packed.subarray(0, packed.length / 2)])).rejects.toThrow("the gzip data is damaged");
  });

  test("a decompression bomb, long before it is unpacked", async () => {
    const bomb = gzipSync(tar([{ name: "zeros", content: new Uint8Array(20 << 20) }]));
    expect(bomb.length).toBeLessThan(50_000);
    await expect(unpack([bomb], { ...DEFAULT_LIMITS, maxBytes: 1 << 20 })).rejects.toThrow(
      "unpacks to more than 1048576 bytes",
    );
  });

  test("more members than allowed, over all layers", async () => {
    const layer = tar(["a", "b", "c"].map((name) => ({ name, content: "" })));
    await expect(unpack([layer, layer], { ...DEFAULT_LIMITS, maxMembers: 5 })).rejects.toThrow(
      "more than 5 files",
    );
  });

  test("compression that images do not use", async () => {
    await expect(unpack([Buffer.from("fd377a585a000000", "hex")])).rejects.toThrow(
      "xz compression is not supported",
    );
    await expect(unpack([Buffer.from("425a683931415926", "hex")])).rejects.toThrow(
      "bzip2 compression is not supported",
    );
  });
});

const part = fc.constantFrom("a", "b", "..", ".", "", "out", "c", ".wh.a", ".wh..wh..opq", ".wh...");
const name = fc.array(part, { minLength: 1, maxLength: 4 }).map((parts) => parts.join("/"));
const entry: fc.Arbitrary<TarEntry> = fc.record({
  name,
  type: fc.constantFrom("0", "1", "2", "5"),
  linkName: fc.oneof(name, fc.constantFrom("..", "../..", "/", "../secret")),
  content: fc.constant("evil"),
});

test("no sequence of members, in no order, writes outside the root", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.array(entry, { maxLength: 8 }), { maxLength: 3 }), async (layers) => {
      rmSync(root, { recursive: true, force: true });
      mkdirSync(root);
      const withContent = layers.map((layer) =>
        layer.map(({ content = "", ...rest }) => (rest.type === "0" ? { ...rest, content } : rest)),
      );
      await unpack(withContent).catch((because: unknown) =>
        expect(because).toHaveProperty("name", "ArchiveError"),
      );
      expect(readFileSync(join(outside, "secret"), "utf8")).toBe("untouched");
      expect(readdirSync(outside).toSorted()).toEqual(["root", "secret"]);
      expect(readdirSync(base)).toHaveLength(count);
    }),
    { numRuns: 300 },
  );
});
