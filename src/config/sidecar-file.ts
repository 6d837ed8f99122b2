/** Reads the configuration file of `pillion run`: everything checked and filled in, or every mistake at its place. */
import { createHash } from "node:crypto";
import { open } from "node:fs/promises";
import { parse } from "yaml";
import { config as configureZod } from "zod";
import type { Gate } from "../kernel/health.ts";
import { messageOf, Problem } from "../kernel/problem.ts";
import type { Sidecar } from "../kernel/sidecar.ts";
import { readYaml } from "./read-yaml.ts";
import { type EntryKeys, fileSchema, type RuntimeSettings } from "./sidecar-schema.ts";

/** Every kind of sidecar by its name; only what a file uses is loaded. */
export type Catalogue = Readonly<Record<string, () => Promise<Sidecar>>>;

/** One sidecar as it is to run. */
export interface SidecarEntry {
  /** A DNS label, unique in the file. */
  readonly name: string;
  readonly sidecar: Sidecar;
  /** Checked with the kind's own schema, defaults filled in: what `start` takes. */
  readonly config: unknown;
  /** The file's choice, else the kind's. */
  readonly gates: Gate;
  readonly container: "shared" | "own";
  /** Changes when something under the sidecar's name changes; not with comments, order or other sidecars. */
  readonly fingerprint: string;
}

export interface SidecarFile {
  readonly settings: RuntimeSettings;
  /** In the order of the file. */
  readonly sidecars: readonly SidecarEntry[];
}

/** A ConfigMap holds 1 MiB at most; what is larger is no configuration. */
const MAX_BYTES = 1024 * 1024;

/** Reads the file from the disk. Throws `Problem`: `E_CONFIG_MISSING`, `E_CONFIG_UNREADABLE`, and those of `parseSidecarFile`. */
export async function readSidecarFile(path: string, catalogue: Catalogue): Promise<SidecarFile> {
  return await parseSidecarFile(path, await readText(path), catalogue);
}

/** Checks a text. `file` is its name in messages. Throws `Problem` `E_CONFIG_SYNTAX` or `E_CONFIG_INVALID` with every mistake. */
export async function parseSidecarFile(
  file: string,
  text: string,
  catalogue: Catalogue,
): Promise<SidecarFile> {
  // A file is read once: compiling code for it takes 4 ms longer than checking it. Before the kinds make their schemas.
  configureZod({ jitless: true });
  const kinds = await loadKinds(text, catalogue);
  const { value, input } = readYaml({ file, text, schema: fileSchema(kinds), what: "configuration" });
  const { sidecars, $schema: _, ...settings } = value;
  const written = (input as { readonly sidecars: Readonly<Record<string, unknown>> }).sidecars;
  return {
    settings,
    sidecars: Object.entries(sidecars).map(([name, entry]) => {
      const { kind, gates, container, ...config } = entry as EntryKeys;
      const sidecar = kinds.find((candidate) => candidate.kind === kind);
      if (sidecar === undefined) throw new TypeError(`the schema let the kind "${kind}" through`);
      const fingerprint = fingerprintOf(written[name]);
      return { name, sidecar, config, gates: gates ?? sidecar.gates, container, fingerprint };
    }),
  };
}

/** The kinds that the text uses; all of them when it is not clear, so that the explanation can name them. */
async function loadKinds(text: string, catalogue: Catalogue): Promise<readonly Sidecar[]> {
  const used = kindsIn(text);
  const isClear = used.length > 0 && used.every((kind) => Object.hasOwn(catalogue, kind));
  const names = isClear ? new Set(used) : Object.keys(catalogue);
  return await Promise.all([...names].flatMap((name) => catalogue[name]?.() ?? []));
}

/** A first look that finds no fault: `readYaml` does that. An empty answer means "it is not clear". */
function kindsIn(text: string): readonly string[] {
  let value: unknown;
  try {
    value = parse(text, { logLevel: "silent", maxAliasCount: 100 });
  } catch {
    return [];
  }
  const sidecars = isRecord(value) ? value["sidecars"] : undefined;
  if (!isRecord(sidecars)) return [];
  return Object.values(sidecars).map((entry) => (isRecord(entry) ? String(entry["kind"]) : ""));
}

/** SHA-256 of the value with its keys in order, in hexadecimal. */
function fingerprintOf(value: unknown): string {
  const text = JSON.stringify(value, (_, part: unknown) =>
    isRecord(part) ? Object.fromEntries(Object.entries(part).toSorted(byKey)) : part,
  );
  return createHash("sha256").update(text).digest("hex");
}

function byKey([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : 1;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

async function readText(path: string): Promise<string> {
  const bytes = await readBytes(path);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw unreadable(path, "it is not UTF-8 text", cause);
  }
}

async function readBytes(path: string): Promise<Uint8Array> {
  let file: Awaited<ReturnType<typeof open>>;
  try {
    file = await open(path, "r");
  } catch (cause) {
    throw cannotOpen(path, cause);
  }
  try {
    if (!(await file.stat()).isFile()) throw unreadable(path, "it is not a file");
    const buffer = new Uint8Array(MAX_BYTES + 1);
    let length = 0;
    for (;;) {
      const { bytesRead } = await file.read(buffer, length, buffer.length - length, null);
      length += bytesRead;
      if (bytesRead === 0 || length === buffer.length) break;
    }
    if (length > MAX_BYTES) throw unreadable(path, "it is larger than 1 MiB");
    return buffer.subarray(0, length);
  } finally {
    await file.close();
  }
}

function cannotOpen(path: string, cause: unknown): Problem {
  const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
  if (code !== "ENOENT" && code !== "ENOTDIR") return unreadable(path, messageOf(cause), cause);
  return new Problem({
    code: "E_CONFIG_MISSING",
    message: `Cannot read the configuration "${path}": there is no such file`,
    fix: "Give the path of your configuration with `-c FILE`, or mount it there",
    cause,
  });
}

function unreadable(path: string, what: string, cause?: unknown): Problem {
  return new Problem({
    code: "E_CONFIG_UNREADABLE",
    message: `Cannot read the configuration "${path}": ${what}`,
    fix: "Give a YAML file that this user may read, with `-c FILE`",
    cause,
  });
}
