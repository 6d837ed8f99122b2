/**
 * Writes `generated/schema.txt`: every type of the Kubernetes API with the names, types, protobuf numbers and patch
 * strategies of its fields; `src/k8s/schema.ts` describes the notation. Names, types and numbers only, no texts.
 *
 * Sources: the Go types inside kubectl and helm (the tags are nowhere else), then the models of
 * `@kubernetes/client-node` for what is newer than those programs and for which fields are required.
 */
import { readFileSync } from "node:fs";
import { resourceEntries } from "../generated/resources.ts";
import { helmPath, kubectlPath } from "../src/testing/kubectl.ts";
import { type Model, type ModelField, readModel } from "./client-node-models.ts";
import { writeGenerated } from "./generated-file.ts";
import { type GoField, type GoType, readGoTypes } from "./go-types.ts";

/** `text` leaves out what the reader can derive: `=` and the Go type only where it is not the obvious one. */
interface Field {
  readonly name: string;
  readonly number: number;
  readonly flags: string;
  readonly type: string;
  readonly patch: string;
}

const API_PACKAGE =
  /^k8s\.io\/(?:api|apimachinery\/pkg\/apis|apiextensions-apiserver\/pkg\/apis)\/([^/]+\/v\w+)$/;

/** Types with a JSON form of their own. `any` is whatever the JSON holds. */
const SPECIAL: Readonly<Record<string, string>> = {
  "meta/v1.Time": "time",
  "meta/v1.MicroTime": "microtime",
  "meta/v1.FieldsV1": "any",
  "apiextensions/v1.JSON": "any",
  "apiextensions/v1.JSONSchemaPropsOrArray": "any",
  "apiextensions/v1.JSONSchemaPropsOrBool": "any",
  "apiextensions/v1.JSONSchemaPropsOrStringArray": "any",
  "resource.Quantity": "quantity",
  "intstr.IntOrString": "intorstring",
  "runtime.RawExtension": "any",
};

const DEFAULT_GO_TEXT: Readonly<Record<string, string>> = {
  bytes: "[]uint8",
  time: "v1.Time",
  microtime: "v1.MicroTime",
  quantity: "resource.Quantity",
  intorstring: "intstr.IntOrString",
};

/** Kinds that are sent or answered without being resources. */
const MORE_ROOTS = [
  "meta/v1.DeleteOptions",
  "meta/v1.ListMeta",
  "meta/v1.Status",
  "autoscaling/v1.Scale",
  "policy/v1.Eviction",
  "authentication/v1.TokenRequest",
];

/** What a Go program would say of types that are too new for kubectl: patch strategy by type and field. */
const NEWER_PATCH_KEYS: Readonly<Record<string, string>> = {
  "admissionregistration/v1.MutatingAdmissionPolicySpec matchConditions": " merge@name",
  "apiregistration/v1.APIServiceStatus conditions": " merge@type",
};

const goTypes = new Map<string, GoType>();
const types = new Map<string, Field[]>();
const keyOfModel = new Map<string, string>();

function keyOf(type: GoType): string {
  const name = type.text.slice(type.text.lastIndexOf(".") + 1);
  const home = API_PACKAGE.exec(type.packagePath)?.[1];
  return home === undefined ? type.text : `${home}.${name}`;
}

async function readPrograms(): Promise<void> {
  for (const program of [await kubectlPath("35"), await helmPath("35")]) {
    for (const type of readGoTypes(readFileSync(program))) {
      if (type.kind !== "struct" || !API_PACKAGE.test(type.packagePath)) continue;
      if (!goTypes.has(keyOf(type))) goTypes.set(keyOf(type), type);
    }
  }
}

/** `core/v1.Event` is `CoreV1Event` where two groups have the name, else `V1Event`. */
function modelOf(key: string): Model | undefined {
  const [, group = "", version = "", name = ""] = /^(\w+)\/(\w+)\.(\w+)$/.exec(key) ?? [];
  const plain = `${capital(version)}${name}`;
  return readModel(`${capital(group)}${plain}`) ?? readModel(plain);
}

function capital(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1);
}

/** Notation of a Go type, with the types it refers to put on `reach`. */
function notation(type: GoType, home: string, reach: (type: GoType) => void): { text: string; go: string } {
  const element = type.element();
  if (type.kind === "pointer" && element !== undefined) return notation(element, home, reach);
  if (type.kind === "slice" && element?.text === "uint8") return { text: "bytes", go: "[]uint8" };
  if ((type.kind === "slice" || type.kind === "map") && element !== undefined) {
    const inner = notation(element, home, reach);
    const list = type.kind === "slice";
    return { text: `${list ? "[]" : "{}"}${inner.text}`, go: `${list ? "[]" : "map[string]"}${inner.go}` };
  }
  const special = SPECIAL[keyOf(type)];
  if (special !== undefined) return { text: special, go: DEFAULT_GO_TEXT[special] ?? "" };
  if (type.kind === "string" || type.kind === "bool") return { text: type.kind, go: type.kind };
  if (type.kind === "number") return { text: type.text, go: type.text };
  if (type.kind !== "struct") throw new Error(`No notation for the Go type ${type.text}`);
  reach(type);
  return { text: refer(keyOf(type), home), go: type.text };
}

function refer(key: string, home: string): string {
  return key.startsWith(`${home}.`) ? key.slice(home.length + 1) : key;
}

function goText(type: GoType): string {
  return type.kind === "pointer" ? type.text.slice(1) : type.text;
}

function fieldFromGo(field: GoField, home: string, required: ReadonlySet<string>): Field | undefined {
  const [name = "", ...options] = (/json:"([^"]*)"/.exec(field.tag)?.[1] ?? "").split(",");
  const inline = options.includes("inline");
  if (name === "-" || (name === "" && !inline)) return undefined;
  const { text, go } = notation(field.type, home, (type) => {
    addGoType(type, inline && modelOf(keyOf(type)) === undefined ? required : undefined);
  });
  const said = goText(field.type);
  const flags = [
    inline ? "i" : "",
    required.has(name) ? "r" : "",
    options.includes("omitempty") ? "o" : "",
    field.type.kind === "pointer" ? "p" : "",
  ].join("");
  const strategy = /patchStrategy:"([^"]*)"/.exec(field.tag)?.[1];
  const mergeKey = /patchMergeKey:"([^"]*)"/.exec(field.tag)?.[1];
  return {
    name: inline ? "*" : name,
    number: Number(/protobuf:"\w+,(\d+)/.exec(field.tag)?.[1] ?? 0),
    flags: flags || "-",
    type: said === go ? text : `${text}=${said}`,
    patch: strategy === undefined ? "" : ` ${strategy}${mergeKey === undefined ? "" : `@${mergeKey}`}`,
  };
}

function addGoType(type: GoType, requiredByParent?: ReadonlySet<string>): void {
  const key = keyOf(type);
  if (types.has(key)) return;
  const home = key.slice(0, key.lastIndexOf("."));
  const model = modelOf(key);
  if (model !== undefined) keyOfModel.set(model.name, key);
  const required = new Set(model?.fields.filter((field) => field.required).map(({ name }) => name));
  const fields: Field[] = [];
  types.set(key, fields);
  for (const goField of type.fields()) {
    const field = fieldFromGo(goField, home, requiredByParent ?? required);
    if (field !== undefined) fields.push(field);
  }
}

/** JSON names of a type's fields, those of inlined types included. */
function namesOf(key: string): string[] {
  const home = key.slice(0, key.lastIndexOf("."));
  return (types.get(key) ?? []).flatMap(({ name, type }) => {
    if (name !== "*") return [name];
    return namesOf(type.includes("/") ? type : `${home}.${type}`);
  });
}

function fieldFromModel(field: ModelField, key: string): Field {
  const home = key.slice(0, key.lastIndexOf("."));
  const list = /^Array<(.+)>$/.exec(field.type)?.[1];
  const map = /^\{ \[key: string\]: (.+); \}$/.exec(field.type)?.[1];
  const inner = list ?? map ?? field.type;
  return {
    name: field.name,
    number: 0,
    flags: field.required ? "r" : "op",
    type: `${list === undefined ? "" : "[]"}${map === undefined ? "" : "{}"}${scalarOf(inner, field.format, home)}`,
    patch: NEWER_PATCH_KEYS[`${key} ${field.name}`] ?? "",
  };
}

function scalarOf(type: string, format: string, home: string): string {
  if (format === "date-time") return "time";
  if (format === "date-time-micro") return "microtime";
  if (format === "byte") return "bytes";
  if (type === "number") return format === "int64" ? "int64" : format === "double" ? "float64" : "int32";
  const known = { string: "string", boolean: "bool", any: "any", IntOrString: "intorstring" }[type];
  if (known !== undefined) return known;
  const key = keyOfModel.get(type) ?? `${home}.${type.replace(/^([A-Z][a-z]+)?V\d+/, "")}`;
  addModel(key, type);
  return refer(key, home);
}

/** Fields that only the models know: those of new types, and new fields of known types. */
function addModel(key: string, name: string): void {
  if (keyOfModel.has(name) && types.has(key)) return;
  const model = readModel(name);
  if (model === undefined) throw new Error(`No model ${name} for ${key}`);
  keyOfModel.set(name, key);
  const fields: Field[] = [];
  types.set(key, fields);
  for (const field of model.fields) fields.push(fieldFromModel(field, key));
}

/** Adds what is newer than the Go programs, and drops what was taken back since. */
function followModels(): void {
  for (const [name, key] of keyOfModel) {
    const known = new Set(namesOf(key));
    const fields = readModel(name)?.fields ?? [];
    for (const field of fields) {
      if (!known.has(field.name)) types.get(key)?.push(fieldFromModel(field, key));
    }
    const current = new Set(fields.map((field) => field.name));
    const kept = types.get(key)?.filter((field) => field.name === "*" || current.has(field.name));
    types.set(key, kept ?? []);
  }
}

/** What the kinds refer to, directly or not. */
function reachable(roots: readonly string[]): Map<string, readonly Field[]> {
  const found = new Map<string, readonly Field[]>();
  const queue = [...roots];
  for (let key = queue.shift(); key !== undefined; key = queue.shift()) {
    const fields = types.get(key);
    if (fields === undefined || found.has(key)) continue;
    found.set(key, fields);
    const home = key.slice(0, key.lastIndexOf("."));
    for (const { type } of fields) {
      const name = type.replace(/^[[\]{}]*/, "").replace(/=.*/, "");
      queue.push(name.includes("/") ? name : `${home}.${name}`);
    }
  }
  return found;
}

async function generate(): Promise<string> {
  await readPrograms();
  const kinds = resourceEntries.map(
    ({ group, version, kind }) => `${group.split(".")[0] || "core"}/${version}.${kind}`,
  );
  for (const key of [...MORE_ROOTS, ...kinds]) {
    const type = goTypes.get(key);
    if (type !== undefined) addGoType(type);
  }
  for (const key of kinds.filter((kind) => !types.has(kind))) addModel(key, modelOf(key)?.name ?? key);
  followModels();
  const lines = [...reachable([...MORE_ROOTS, ...kinds])]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, fields]) => {
      const parts = fields.map(
        ({ name, number, flags, type, patch }) => `${name} ${number} ${flags} ${type}${patch}`,
      );
      return `${key}:${parts.join(";")}`;
    });
  return `# Written by tools/gen-schema.ts. Do not edit.\n${lines.join("\n")}\n`;
}

writeGenerated("schema.txt", await generate());
