/**
 * Reads manifests as `-f` names them: files, folders, standard input, kustomizations; YAML with several documents, JSON,
 * Lists. A chart is named and left to helm.
 */
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { type Document, LineCounter, parseAllDocuments, type Tags, type YAMLParseError } from "yaml";
import { messageOf, Problem } from "../kernel/problem.ts";
import type { KubeObject } from "../k8s/object.ts";

/**
 * YAML as kubectl reads it (sigs.k8s.io/yaml): version 1.1 scalars such as `yes` and `0644`, merge keys, and nothing
 * that JSON has no type for.
 */
const KUBERNETES_YAML = {
  version: "1.1",
  merge: true,
  customTags: (tags: Tags) => tags.filter((tag) => typeof tag === "string" || !NOT_JSON.has(tag.tag)),
} as const;
const NOT_JSON = new Set(
  ["timestamp", "binary", "omap", "pairs", "set"].map((tag) => `tag:yaml.org,2002:${tag}`),
);

/** More would be an attack on memory rather than a manifest. */
const MAX_ALIASES = 100;

const EXTENSIONS = [".yaml", ".yml", ".json"];

export interface Manifest {
  readonly object: KubeObject;
  /** `FILE:LINE` where it stands, for messages. */
  readonly where: string;
}

export interface ManifestSet {
  readonly manifests: readonly Manifest[];
  /** Folders of Helm charts. */
  readonly charts: readonly string[];
  /** Image maps found beside the manifests (`.pillion/images.yaml`). */
  readonly imageMaps: readonly string[];
}

export interface ManifestSources {
  readonly cwd: string;
  readonly readStdin: () => Promise<string>;
  /** Manifests of a folder with a kustomization, as YAML. */
  readonly kustomize: (folder: string) => Promise<string>;
}

const CHART_FILE = "Chart.yaml";
/** As kustomize looks for them. */
const KUSTOMIZATIONS = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/** Everything the given paths hold, in order. All unreadable places are `Problem`s with the line and a fix. */
export async function readManifests(
  paths: readonly string[],
  { cwd, readStdin, kustomize }: ManifestSources,
): Promise<ManifestSet> {
  const manifests: Manifest[] = [];
  const charts = new Set<string>();
  const imageMaps = new Set<string>();
  for (const path of paths) {
    if (path === "-") {
      manifests.push(...parseManifests("<stdin>", await readStdin()));
      continue;
    }
    const full = resolve(cwd, path);
    if (existsSync(join(full, CHART_FILE))) charts.add(full);
    else if (KUSTOMIZATIONS.some((name) => existsSync(join(full, name))))
      manifests.push(...parseManifests(path, await kustomize(full)));
    else for (const file of filesOf(path, cwd)) manifests.push(...parseManifests(file.shown, readText(file)));
    for (const folder of mapFolders(full)) {
      const map = join(folder, ".pillion/images.yaml");
      if (existsSync(map)) imageMaps.add(map);
    }
  }
  return { manifests, charts: [...charts], imageMaps: [...imageMaps] };
}

/** Folders whose image map belongs to the path: a chart's may also stand beside it, where helm does not pack it. */
function mapFolders(full: string): string[] {
  if (!statSync(full).isDirectory()) return [dirname(full)];
  return existsSync(join(full, CHART_FILE)) ? [full, dirname(full)] : [full];
}

interface ManifestFile {
  readonly path: string;
  /** As the user wrote it. */
  readonly shown: string;
}

function filesOf(path: string, cwd: string): ManifestFile[] {
  const full = resolve(cwd, path);
  let isFolder: boolean;
  try {
    isFolder = statSync(full).isDirectory();
  } catch (cause) {
    throw new Problem({
      code: "E_MANIFEST_UNREADABLE",
      message: `Cannot read "${path}": ${existsSync(full) ? messageOf(cause) : "there is no such file or folder"}`,
      fix: "Give a manifest, a folder of manifests, or `-` for standard input",
      cause,
    });
  }
  if (!isFolder) return [{ path: full, shown: path }];
  const names = readdirSync(full).filter((name) => EXTENSIONS.some((extension) => name.endsWith(extension)));
  if (names.length === 0) {
    throw new Problem({
      code: "E_NO_MANIFESTS",
      message: `Cannot find a manifest in folder "${path}": it has no .yaml, .yml or .json file, and is no chart`,
      fix: "Name the folder that holds them; folders below it are not searched",
    });
  }
  return names.toSorted().map((name) => ({ path: join(full, name), shown: join(path, name) }));
}

function readText({ path, shown }: ManifestFile): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw new Problem({
      code: "E_MANIFEST_UNREADABLE",
      message: `Cannot read "${shown}": ${messageOf(cause)}`,
      fix: "Make the file readable for this user",
      cause,
    });
  }
}

/** Objects of one file. `E_MANIFEST_SYNTAX` shows the place; `E_NOT_AN_OBJECT` what is missing. */
export function parseManifests(file: string, text: string): Manifest[] {
  const lineCounter = new LineCounter();
  const documents = parseAllDocuments(text, { lineCounter, prettyErrors: true, ...KUBERNETES_YAML });
  const found: Manifest[] = [];
  for (const document of Array.isArray(documents) ? documents : []) {
    const [error] = document.errors;
    if (error !== undefined) throw syntaxProblem(file, text, error);
    const value = toValue(file, document);
    if (value === null || value === undefined) continue;
    const line = lineCounter.linePos(document.contents?.range?.[0] ?? 0).line;
    found.push(...objectsOf(value, `${file}:${line}`));
  }
  return found;
}

function syntaxProblem(file: string, text: string, error: YAMLParseError): Problem {
  const [start] = error.linePos ?? [];
  const line = start === undefined ? undefined : text.split("\n")[start.line - 1];
  const place = start === undefined ? file : `${file}:${start.line}:${start.col}`;
  const excerpt =
    line === undefined || start === undefined ? "" : `\n  ${line}\n  ${" ".repeat(start.col - 1)}^`;
  return new Problem({
    code: "E_MANIFEST_SYNTAX",
    message: `Cannot read ${place}: ${error.message.split("\n")[0]?.replace(/ at line \d+.*$/, "")}${excerpt}`,
    fix: "Correct the YAML at that place",
    cause: error,
  });
}

function toValue(file: string, document: Document.Parsed): unknown {
  try {
    return document.toJS({ maxAliasCount: MAX_ALIASES });
  } catch (cause) {
    throw new Problem({
      code: "E_MANIFEST_SYNTAX",
      message: `Cannot read ${file}: ${messageOf(cause)}`,
      fix: "Write out what its aliases repeat",
      cause,
    });
  }
}

function objectsOf(value: unknown, where: string): Manifest[] {
  const object = typeof value === "object" && !Array.isArray(value) ? (value as Partial<KubeObject>) : {};
  if (typeof object.apiVersion !== "string" || typeof object.kind !== "string") {
    const missing = ["apiVersion", "kind"]
      .filter((key) => typeof object[key] !== "string")
      .map((key) => `"${key}"`);
    throw new Problem({
      code: "E_NOT_AN_OBJECT",
      message: `Cannot apply ${where}: it is no Kubernetes object, ${missing.join(" and ")} is missing`,
      fix: "Start it with, for example, `apiVersion: v1` and `kind: Pod`, or leave the file out",
    });
  }
  if (object.kind.endsWith("List") && Array.isArray(object["items"])) {
    return object["items"].flatMap((item) => objectsOf(item, where));
  }
  if (typeof object.metadata?.name !== "string" && typeof object.metadata?.generateName !== "string") {
    throw new Problem({
      code: "E_NOT_AN_OBJECT",
      message: `Cannot apply ${where}: the ${object.kind} has no name`,
      fix: "Give it `metadata.name`",
    });
  }
  return [{ object: object as KubeObject, where }];
}
