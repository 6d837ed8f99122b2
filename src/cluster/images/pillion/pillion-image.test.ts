import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { X509Certificate } from "node:crypto";
import { parseReference, withDefaultTag } from "../reference.ts";
import { IMAGE_PATHS } from "./make-root.ts";
import { type OwnProgram, pillionImage, type PillionImageOptions } from "./pillion-image.ts";

let folder = "";
let bundles = 0;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "pillion-image-"));
  bundles = 0;
});
afterEach(() => rmSync(folder, { recursive: true }));

/** A small program stands for Bun: what is about Bun itself is tested with pods. */
function program(more: Partial<OwnProgram> = {}): OwnProgram {
  return {
    bun: "/bin/cat",
    linkableBun: () => undefined,
    fingerprint: () => Promise.resolve("1"),
    async bundle(to) {
      bundles += 1;
      await Bun.write(join(to, "pillion.js"), "#!/usr/local/bin/bun\n");
      await Bun.write(join(to, "pillion.js.jsc"), "bytecode");
    },
    ...more,
  };
}

function image(more: Partial<OwnProgram> = {}, options: Partial<PillionImageOptions> = {}) {
  return pillionImage({
    folder: join(folder, "image"),
    program: program(more),
    isUsed: () => false,
    ...options,
  });
}

async function rootOf(opened = image()): Promise<string> {
  const { rootfs } = await opened.resolve({ name: "pillion" });
  return rootfs.kind === "image" ? rootfs.path : "";
}

function treeOf(root: string): string[] {
  return readdirSync(root, { recursive: true, encoding: "utf8" }).toSorted();
}

describe("pillionImage()", () => {
  test("has its name with any tag, and no other name", () => {
    const has = (name: string) => image().has(withDefaultTag(parseReference(name)));
    const digest = `sha256:${"0".repeat(64)}`;
    expect(
      [
        "pillion",
        "pillion:0.1.0",
        "docker.io/library/pillion",
        "docker.io/pillion:x",
        "index.docker.io/pillion",
      ].map(has),
    ).toEqual([true, true, true, true, true]);
    expect(
      [`pillion@${digest}`, "me/pillion", "localhost/pillion", "ghcr.io/library/pillion", "pillions"].map(
        has,
      ),
    ).toEqual([false, false, false, false, false]);
  });

  test("resolves to a minimal root: the program, its libraries, certificates, zones, accounts, folders to write to", async () => {
    const resolved = await image().resolve({ name: "pillion:1" });
    expect(resolved).toMatchObject({
      name: "pillion:1",
      id: expect.stringMatching(/^docker\.io\/library\/pillion@sha256:[0-9a-f]{64}$/),
      config: { entrypoint: ["pillion"], cmd: [], user: "65532", stopSignal: "SIGTERM" },
    });
    const root = await rootOf();
    const outside = /^(?:lib|lib64|usr\/lib|usr\/share\/zoneinfo)(?:\/|$)/;
    expect(treeOf(root).filter((path) => !outside.test(path))).toEqual([
      "etc",
      "etc/group",
      "etc/nsswitch.conf",
      "etc/passwd",
      "etc/pillion",
      "etc/ssl",
      "etc/ssl/certs",
      "etc/ssl/certs/ca-certificates.crt",
      "run",
      "run/pillion",
      "tmp",
      "usr",
      "usr/local",
      "usr/local/bin",
      "usr/local/bin/bun",
      "usr/local/bin/pillion",
      "usr/local/lib",
      "usr/local/lib/pillion",
      "usr/local/lib/pillion/bunfig.toml",
      "usr/local/lib/pillion/pillion.js",
      "usr/local/lib/pillion/pillion.js.jsc",
      "usr/share",
      "var",
      "var/lib",
      "var/lib/pillion",
    ]);
    const certificates = readFileSync(join(root, IMAGE_PATHS.certificates), "utf8");
    const [first = ""] = certificates.match(/-----BEGIN[\s\S]*?-----END CERTIFICATE-----/) ?? [];
    expect(new X509Certificate(first).ca).toBe(true);
  });

  test("every user may read and run all of it and write to three folders, whatever the umask", async () => {
    const before = process.umask(0o077);
    const root = await rootOf().finally(() => process.umask(before));
    const modes = treeOf(root)
      .map((path) => ({ path, found: lstatSync(join(root, path)) }))
      .filter(({ found }) => !found.isSymbolicLink())
      .map(({ path, found }) => ({ path, mode: found.mode & 0o7777, least: found.isFile() ? 0o444 : 0o555 }));
    expect(modes.filter(({ mode, least }) => (mode & least) !== least)).toEqual([]);
    expect(modes.filter(({ mode }) => (mode & 0o002) !== 0)).toEqual(
      ["run/pillion", "tmp", "var/lib/pillion"].map((path) => ({ path, mode: 0o1777, least: 0o555 })),
    );
    const programs = ["usr/local/bin/bun", "usr/local/lib/pillion/pillion.js"];
    expect(modes.filter(({ path }) => programs.includes(path)).map(({ mode }) => mode & 0o555)).toEqual([
      0o555, 0o555,
    ]);
  });

  test("is made once: for all who ask at the same time, and for later engines", async () => {
    const one = image();
    const roots = await Promise.all([rootOf(one), rootOf(one), rootOf(one), rootOf(image({}))]);
    roots.push(await rootOf(image()));
    expect(new Set(roots).size).toBe(1);
    // Two at the same moment may both have made it; one has stayed.
    const made = bundles;
    await rootOf(image());
    expect([bundles, readdirSync(join(folder, "image/tmp"))]).toEqual([made, []]);
  });

  test("another program gives another root; what nothing runs from any more is removed", async () => {
    const first = await rootOf();
    const second = await rootOf(
      image({ fingerprint: () => Promise.resolve("2") }, { isUsed: (path) => path === first }),
    );
    expect(second).not.toBe(first);
    expect(statSync(first).isDirectory()).toBe(true);
    await rootOf(image({ fingerprint: () => Promise.resolve("3") }));
    expect(readdirSync(join(folder, "image/roots"))).toHaveLength(1);
  });

  test("a program that cannot be bundled is an image that cannot be pulled; the next try is a new one", async () => {
    let isBroken = true;
    const opened = image({
      bundle: (to) => (isBroken ? Promise.reject(new Error("no such file: x.ts")) : program().bundle(to)),
    });
    await expect(opened.resolve({ name: "pillion:1" })).rejects.toMatchObject({
      reason: "ErrImagePull",
      message: expect.stringMatching(
        /"pillion:1".*: no such file: x\.ts\. .* pillion images map pillion:1 oci:FOLDER$/,
      ),
    });
    expect([readdirSync(join(folder, "image/tmp")), readdirSync(join(folder, "image/roots"))]).toEqual([
      [],
      [],
    ]);
    isBroken = false;
    expect(await rootOf(opened)).not.toBe("");
  });

  test("a root that lost power has cut short is made anew, and drafts of engines that are gone are removed", async () => {
    const root = await rootOf();
    truncateSync(join(root, "usr/local/bin/bun"), 100);
    mkdirSync(join(folder, "image/tmp/999999999-1-0/rootfs"), { recursive: true });
    expect(await rootOf()).toBe(root);
    expect(statSync(join(root, "usr/local/bin/bun")).size).toBe(statSync("/bin/cat").size);
    expect([bundles, readdirSync(join(folder, "image/tmp"))]).toEqual([2, []]);
    rmSync(join(root, "..", "size"));
    await rootOf();
    expect(bundles).toBe(3);
  });

  test("who stops waiting does not stop the others", async () => {
    const { promise: held, resolve: release } = Promise.withResolvers<void>();
    const opened = image({ bundle: (to) => held.then(() => program().bundle(to)) });
    const abort = new AbortController();
    const given = opened.resolve({ name: "pillion", signal: abort.signal });
    const kept = rootOf(opened);
    abort.abort(new Error("the pod is gone"));
    await expect(given).rejects.toThrow("the pod is gone");
    release();
    expect(await kept).not.toBe("");
  });

  test("Bun is linked where it can be, and copied where links are refused or it is closed to others", async () => {
    const bun = join(folder, "bun");
    writeFileSync(bun, "#!/bin/sh\n", { mode: 0o755 });
    linkSync(bun, join(folder, "offered"));
    const placed = async (linkable: string | undefined, fingerprint: string) => {
      const parts = { bun, linkableBun: () => linkable, fingerprint: () => Promise.resolve(fingerprint) };
      return statSync(join(await rootOf(image(parts)), IMAGE_PATHS.bun));
    };
    const { ino } = statSync(bun);
    expect((await placed(join(folder, "offered"), "linked")).ino).toBe(ino);
    // Another file system: links lead nowhere there.
    const elsewhere = await placed("/proc/self/exe", "refused");
    expect([elsewhere.ino === ino, elsewhere.mode & 0o777]).toEqual([false, 0o755]);
    writeFileSync(join(folder, "closed"), "#!/bin/sh\n", { mode: 0o700 });
    const closed = await placed(join(folder, "closed"), "closed");
    expect([closed.nlink, closed.mode & 0o777]).toEqual([1, 0o755]);
  });
});
