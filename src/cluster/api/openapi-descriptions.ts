/**
 * The texts of `kubectl explain`: read on demand from the type declarations of `@kubernetes/client-node`, which are
 * installed anyway, so that no copy of them is kept here.
 */
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export interface Descriptions {
  /** Of the type itself; empty when there is none. */
  readonly type: string;
  /** Of a field by its JSON name. */
  field(name: string): string | undefined;
}

const NONE: Descriptions = { type: "", field: () => undefined };

let folder: string | undefined;

/** For a type of the schema, for example `core/v1.Container`. Empty where the package or the type is missing. */
export function descriptionsOf(typeName: string): Descriptions {
  const [, group = "", version = "", name = ""] = /^(\w+)\/(\w+)\.(\w+)$/.exec(typeName) ?? [];
  const plain = `${capital(version)}${name}`;
  // Names that two groups have are told apart by the group: CoreV1Event, EventsV1Event.
  const text = readDeclaration(`${capital(group)}${plain}`) ?? readDeclaration(plain);
  return text === undefined ? NONE : parseDeclaration(text);
}

function capital(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1);
}

function readDeclaration(model: string): string | undefined {
  folder ??= findModels();
  try {
    return readFileSync(join(folder, `${model}.d.ts`), "utf8");
  } catch {
    return undefined; // Not every type has a model, and the descriptions are no condition for anything.
  }
}

function findModels(): string {
  try {
    return join(dirname(fileURLToPath(import.meta.resolve("@kubernetes/client-node"))), "gen/models");
  } catch {
    return "";
  }
}

function parseDeclaration(text: string): Descriptions {
  const fields = new Map<string, string>();
  let type = "";
  for (const [, comment = "", name] of text.matchAll(
    /\/\*\*((?:[^*]|\*(?!\/))*)\*\/\s*(?:export declare class|'([^']+)'\??:)/g,
  )) {
    if (name === undefined) type = plainText(comment);
    else fields.set(name.replace(/^_/, ""), plainText(comment));
  }
  return { type, field: (name) => fields.get(propertyName(name)) };
}

/** Declared are `_default` for `default`, `ref` for `$ref`, `x_kubernetes_map_type` for `x-kubernetes-map-type`. */
function propertyName(jsonName: string): string {
  return jsonName.replace(/^\$/, "").replaceAll("-", "_");
}

function plainText(comment: string): string {
  return comment
    .replaceAll(/^\s*\* ?/gm, "")
    .replaceAll(/\\(['"\\*/`])/g, "$1")
    .trim();
}
