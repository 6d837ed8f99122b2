/** What Debian's tar writes, in each of its formats, unpacks to the tree that it read. */
import { afterAll, expect, test } from "bun:test";
import {
  chmodSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readFile } from "./byte-streams.ts";
import { unpackInto } from "./unpack.ts";

const base = mkdtempSync(join(tmpdir(), "pillion-real-tar-"));
afterAll(() => rmSync(base, { recursive: true, force: true }));

const source = join(base, "source");
const long = Array.from({ length: 6 }, (_, index) => `${index}`.repeat(40));

function makeSource(): void {
  mkdirSync(join(source, ...long), { recursive: true });
  mkdirSync(join(source, "empty"));
  writeFileSync(join(source, "empty file"), "");
  writeFileSync(join(source, "ünïcode"), "u");
  writeFileSync(join(source, "large"), Buffer.alloc(1_500_000, "0123456789"));
  writeFileSync(join(source, ...long.slice(0, 5), "deep"), "deep");
  writeFileSync(join(source, "setuid"), "s");
  chmodSync(join(source, "setuid"), 0o4711);
  linkSync(join(source, "large"), join(source, "second-name"));
  symlinkSync("/absolute/nowhere", join(source, "link"));
  symlinkSync(`../${long.join("/")}`, join(source, "empty", "long-link"));
  chmodSync(join(source, "empty"), 0o1777);
  utimesSync(join(source, "large"), 1_234_567_890, 1_234_567_890);
  utimesSync(join(source, "empty"), 1_000_000_000, 1_000_000_000);
}
makeSource();

/** Everything about a tree that an archive carries: path, mode, time, content. */
function describeTree(folder: string, prefix = ""): readonly string[] {
  return readdirSync(folder)
    .toSorted()
    .flatMap((name) => {
      const full = join(folder, name);
      const { mode, nlink, mtimeMs, uid, gid } = lstatSync(full);
      const found = lstatSync(full);
      const head = `${prefix}${name} ${mode.toString(8)} ${uid}:${gid}`;
      if (found.isSymbolicLink()) return [`${head} -> ${readlinkSync(full)}`];
      const time = Math.floor(mtimeMs / 1_000);
      if (found.isDirectory()) return [`${head} ${time}`, ...describeTree(full, `${prefix}${name}/`)];
      return [`${head} ${time} ${nlink} ${Bun.hash(readFileSync(full))}`];
    });
}

test.each(
  [
    ["--format=gnu"],
    ["--format=pax"],
    ["--format=gnu", "--gzip"],
    ["--format=pax", "--use-compress-program=zstd"],
    ["--format=gnu", "--record-size=1048576"],
    ["--format=pax", "--transform=s,^\\./,/,"],
  ].filter((options) => !options.join(" ").includes("zstd") || Bun.which("zstd") !== null),
)("tar %s %s", async (...options: string[]) => {
  const archive = join(base, `${Bun.hash(options.join(" "))}.tar`);
  const made = Bun.spawnSync(["tar", ...options, "-C", source, "-cf", archive, "."]);
  expect(made.stderr.toString()).not.toContain("Exiting");
  const root = join(base, `${Bun.hash(archive)}-root`);
  mkdirSync(root);
  const unpacker = unpackInto(root);
  await unpacker.layer(readFile(archive));
  const { bytes } = unpacker.finish();
  expect(describeTree(root)).toEqual(describeTree(source));
  expect(bytes).toBe(1_500_000 + "u".length + "deep".length + "s".length);
});

test("tar --format=ustar and v7, with names that they can carry", async () => {
  for (const format of ["ustar", "v7"]) {
    const archive = join(base, `${format}.tar`);
    Bun.spawnSync([
      "tar",
      `--format=${format}`,
      "-C",
      source,
      "-cf",
      archive,
      "large",
      "second-name",
      "link",
      "setuid",
      "empty file",
    ]);
    const root = join(base, format);
    mkdirSync(root);
    const unpacker = unpackInto(root);
    await unpacker.layer(readFile(archive));
    unpacker.finish();
    expect(readdirSync(root).toSorted()).toEqual(["empty file", "large", "link", "second-name", "setuid"]);
    expect(lstatSync(join(root, "second-name")).nlink).toBe(2);
  }
});

test("tar --sparse is refused", async () => {
  const holes = join(base, "holes");
  Bun.spawnSync(["truncate", "--size=5M", holes]);
  for (const format of ["gnu", "pax"]) {
    const archive = join(base, `sparse-${format}.tar`);
    Bun.spawnSync(["tar", `--format=${format}`, "--sparse", "-C", base, "-cf", archive, "holes"]);
    const root = join(base, `sparse-${format}`);
    mkdirSync(root);
    await expect(unpackInto(root).layer(readFile(archive))).rejects.toThrow("is a sparse member");
  }
});
