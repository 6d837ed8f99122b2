/** The program that runs, as Pillion's own image wants it: in one file, translated ahead of time. */
import { createHash } from "node:crypto";
import { linkSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import type { OwnProgram } from "../cluster/images/pillion/pillion-image.ts";
import { VERSION } from "./version.ts";

const PACKAGE = fileURLToPath(new URL("../..", import.meta.url));
const ENTRY = join(PACKAGE, "src/bin/sidecar-main.ts");
/** All that can be part of the bundle; `src/cluster` is what `ENTRY` leaves out. */
const SOURCES = ["src", "generated", "package.json", "package-lock.json"];
const LEFT_OUT = /^src\/(?:cluster|testing)(?:\/|$)|\.test(?:-support)?\.ts$/;
/** The end of an error message says what is wrong. */
const SHOWN_BYTES = 1000;

/** `folder` is where `offerProgram` has left its link. */
export function ownProgram(folder: string): OwnProgram {
  return {
    bun: process.execPath,
    linkableBun: () => sameFile(offeredPath(folder), process.execPath),
    fingerprint: () => Promise.resolve(fingerprintOfSources()),
    bundle: bundleProgram,
  };
}

/**
 * Leaves a second name of Bun's file in `folder`. To be called outside of the engine's namespaces: in there the file is a
 * mount of its own, and a link cannot lead out of a mount. Where links are refused (another file system, somebody else's
 * file) the engine makes a copy when it needs one.
 */
export function offerProgram(folder: string): void {
  const path = offeredPath(folder);
  if (sameFile(path, process.execPath) !== undefined) return;
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    rmSync(path, { force: true });
    linkSync(process.execPath, path);
  } catch {
    // Then it is copied.
  }
}

function offeredPath(folder: string): string {
  return join(folder, "bun");
}

function sameFile(path: string, other: string): string | undefined {
  const [found, wanted] = [path, other].map((each) => statSync(each, { throwIfNoEntry: false }));
  const isSame = found !== undefined && found.ino === wanted?.ino && found.dev === wanted.dev;
  return isSame ? path : undefined;
}

/** By content: a file that was written again as it was changes nothing. Takes about 10 ms. */
function fingerprintOfSources(): string {
  const hash = createHash("sha256").update(`${VERSION} ${Bun.version} ${Bun.revision} ${process.arch}`);
  for (const path of SOURCES.flatMap((name) => filesOf(join(PACKAGE, name)))) {
    const name = relative(PACKAGE, path);
    if (!LEFT_OUT.test(name)) hash.update(`\0${name}\0`).update(readFileSync(path));
  }
  return hash.digest("hex");
}

/** Nothing for what is not there. */
function filesOf(path: string): readonly string[] {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) return [];
  if (found.isFile()) return [path];
  return readdirSync(path, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .toSorted();
}

/** Writes `pillion.js` and its bytecode, with which the program starts in a third of the time. In a process of its own: it needs memory. */
async function bundleProgram(folder: string): Promise<void> {
  const flags = [
    "--target=bun",
    "--format=cjs",
    "--bytecode",
    // Names stay, so that stacks in reports can be read.
    "--minify-syntax",
    "--minify-whitespace",
    "--entry-naming=pillion.js",
    "--root",
    PACKAGE,
    "--outdir",
    folder,
  ];
  const child = Bun.spawn([process.execPath, "build", ENTRY, ...flags], {
    cwd: PACKAGE,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [out, errors, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  if (code === 0) return;
  throw new Error(`the program cannot be bundled: ${`${out}${errors}`.trim().slice(-SHOWN_BYTES)}`);
}
