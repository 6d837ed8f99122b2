/** Reads YAML as Kubernetes does (sigs.k8s.io/yaml): version 1.1 scalars, JSON's types only, and keys that come twice. */
import {
  type Document,
  type DocumentOptions,
  isMap,
  isScalar,
  isSeq,
  type Node,
  parseDocument,
  type ParseOptions,
  type SchemaOptions,
  type Tags,
} from "yaml";

export interface Yaml {
  /** The last of duplicate keys wins. */
  readonly value: unknown;
  /** Paths of keys that come twice in one object, for example `spec.containers[0].image`. */
  readonly duplicates: readonly string[];
}

/** More would be an attack on memory rather than an object. */
const MAX_ALIASES = 100;

const OPTIONS: ParseOptions & DocumentOptions & SchemaOptions = {
  version: "1.1",
  merge: true,
  // The parser's own check takes quadratic time; `findDuplicates` does not.
  uniqueKeys: false,
  logLevel: "silent",
  customTags: (tags: Tags) => tags.filter((tag) => typeof tag === "string" || !NOT_JSON.has(tag.tag)),
};
const NOT_JSON = new Set(
  ["timestamp", "binary", "omap", "pairs", "set"].map((tag) => `tag:yaml.org,2002:${tag}`),
);

/** Throws `YAMLParseError`, or `ReferenceError` for aliases that multiply. */
export function parseYaml(text: string): Yaml {
  const document: Document = parseDocument(text, OPTIONS);
  const [error] = document.errors;
  if (error !== undefined) throw error;
  const duplicates: string[] = [];
  findDuplicates(document.contents, "", duplicates);
  return { value: document.toJS({ maxAliasCount: MAX_ALIASES }), duplicates };
}

function findDuplicates(node: Node | null, path: string, found: string[]): void {
  if (isSeq<Node>(node)) {
    node.items.forEach((item, index) => findDuplicates(item, `${path}[${index}]`, found));
  }
  if (!isMap<Node, Node | null>(node)) return;
  const seen = new Set<string>();
  for (const { key, value } of node.items) {
    const name = isScalar(key) ? String(key.value) : "";
    const place = path === "" ? name : `${path}.${name}`;
    if (seen.has(name)) found.push(place);
    seen.add(name);
    findDuplicates(value, place, found);
  }
}
