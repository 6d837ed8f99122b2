/** Finds the loader and the libraries that a program needs, as the loader itself would, without running it. */
import { existsSync, readdirSync, readFileSync, realpathSync } from "node:fs";
import { basename, dirname, join, relative } from "node:path";
import { type ElfNeeds, readElfNeeds } from "../../../lib/elf.ts";

/** A file of this machine and where a program in a root of its own looks for it. */
export interface LibraryFile {
  readonly source: string;
  /** Absolute path in the new root. */
  readonly target: string;
}

/** A library is nowhere where the loader would look. */
export class LibraryMissing extends Error {
  constructor(name: string, wantedBy: string) {
    super(`the library "${name}", which "${wantedBy}" needs, is not on this machine`);
    this.name = "LibraryMissing";
  }
}

/** Names of the machine in folders of Debian's multi-arch layout, by `e_machine`. */
const TRIPLETS: Readonly<Record<number, string>> = { 62: "x86_64-linux-gnu", 183: "aarch64-linux-gnu" };
/** What the C library of GNU before 2.34 opens by name to look up hosts and users. */
const OPENED_BY_NAME = ["libnss_files.so.2", "libnss_dns.so.2", "libresolv.so.2"];
const GNU_C_LIBRARY = "libc.so.6";
const MAX_INCLUDE_DEPTH = 4;

interface Search {
  /** Prefix of this machine's paths; `/` but for tests. */
  readonly root: string;
  readonly machine: number;
  readonly folders: readonly string[];
}

/** Throws `LibraryMissing`. Static programs need nothing. */
export function librariesOf(program: string, root = "/"): readonly LibraryFile[] {
  const needs = readElfNeeds(program);
  if (needs?.interpreter === undefined) return [];
  const loader = needs.interpreter;
  const search = { root, machine: needs.machine, folders: searchFolders(root, needs.machine, loader) };
  const loaderFile = join(root, loader);
  if (!existsSync(loaderFile)) throw new LibraryMissing(loader, program);
  const found = new Map<string, LibraryFile>([
    [basename(loader), { source: realpathSync(loaderFile), target: loader }],
  ]);
  collect(search, { path: program, needs }, found);
  if (found.has(GNU_C_LIBRARY)) addOpenedByName(search, found);
  return besideTheCLibrary(found, loader);
}

function collect(
  search: Search,
  { path, needs }: { readonly path: string; readonly needs: ElfNeeds },
  found: Map<string, LibraryFile>,
): void {
  for (const name of needs.needed) {
    if (found.has(name) || isLoaderItself(name)) continue;
    const library = find(search, name, originFolders(search, needs, path));
    if (library === undefined) throw new LibraryMissing(name, path);
    found.set(name, library);
    const next = readElfNeeds(library.source);
    if (next !== undefined) collect(search, { path: library.source, needs: next }, found);
  }
}

function addOpenedByName(search: Search, found: Map<string, LibraryFile>): void {
  for (const name of OPENED_BY_NAME) {
    const library = found.has(name) ? undefined : find(search, name, []);
    if (library !== undefined) found.set(name, library);
  }
}

/** musl's loader is its C library: programs name it as a library, too. */
function isLoaderItself(name: string): boolean {
  return name === "libc.so" || name.startsWith("libc.musl-") || name.startsWith("ld-musl-");
}

function find(
  { root, machine, folders }: Search,
  name: string,
  first: readonly string[],
): LibraryFile | undefined {
  for (const folder of [...first, ...folders]) {
    const file = join(root, folder, name);
    // The same name may be there for another processor.
    if (existsSync(file) && readElfNeeds(file)?.machine === machine)
      return { source: realpathSync(file), target: join(folder, name) };
  }
  return undefined;
}

/** Without the loader's cache, only the folders that are built into it count: that of the C library is one. */
function besideTheCLibrary(found: ReadonlyMap<string, LibraryFile>, loader: string): readonly LibraryFile[] {
  const libc = found.get(GNU_C_LIBRARY);
  return [...found].map(([name, file]) =>
    file.target === loader || libc === undefined
      ? file
      : { ...file, target: join(dirname(libc.target), name) },
  );
}

function originFolders({ root }: Search, { searchPaths }: ElfNeeds, path: string): string[] {
  const origin = join("/", relative(root, dirname(path)));
  return searchPaths.map((folder) => folder.replace(/\$ORIGIN|\$\{ORIGIN\}/g, origin));
}

/** ld.so(8): what ldconfig has been told, then the built-in folders; musl's list; at last beside the loader (Nix). */
function searchFolders(root: string, machine: number, loader: string): readonly string[] {
  const loaderFile = join(root, loader);
  const beside = existsSync(loaderFile) ? [dirname(loader), dirname(realpathSync(loaderFile))] : [];
  if (basename(loader).startsWith("ld-musl-")) {
    const list = join(root, "etc", `${basename(loader).replace(/\.so\.1$/, "")}.path`);
    const folders = existsSync(list)
      ? readFileSync(list, "utf8").split(/[:\n]/)
      : ["/lib", "/usr/local/lib", "/usr/lib"];
    return folders.filter((folder) => folder !== "");
  }
  const triplet = TRIPLETS[machine];
  const multiArch = triplet === undefined ? [] : [`/lib/${triplet}`, `/usr/lib/${triplet}`];
  const configured = ldConfigFolders(root, "/etc/ld.so.conf", MAX_INCLUDE_DEPTH);
  return [...new Set([...configured, ...multiArch, "/lib64", "/usr/lib64", "/lib", "/usr/lib", ...beside])];
}

/** Folders of ld.so.conf and the files that it includes. */
function ldConfigFolders(root: string, file: string, depth: number): string[] {
  const path = join(root, file);
  if (depth === 0 || !existsSync(path)) return [];
  const lines = readFileSync(path, "utf8")
    .split("\n")
    .map((line) => line.replace(/#.*/, "").trim());
  return lines.flatMap((line) => {
    if (line.startsWith("/")) return [line];
    const pattern = /^include\s+(\S+)$/.exec(line)?.[1];
    if (pattern === undefined) return [];
    const absolute = pattern.startsWith("/") ? pattern : join(dirname(file), pattern);
    return included(root, absolute).flatMap((each) => ldConfigFolders(root, each, depth - 1));
  });
}

/** Files of one folder by a pattern with `*` in the last part, sorted as the shell does. */
function included(root: string, pattern: string): string[] {
  const folder = dirname(pattern);
  const glob = new Bun.Glob(basename(pattern));
  if (!existsSync(join(root, folder))) return [];
  return readdirSync(join(root, folder))
    .filter((name) => glob.match(name))
    .toSorted()
    .map((name) => join(folder, name));
}
