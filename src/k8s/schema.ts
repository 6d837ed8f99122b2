/**
 * The field table of the Kubernetes API: which fields a kind has, their types, how lists merge, how they are encoded.
 *
 * Start at `schemaOf("v1", "Pod")`, look a field up with `.fields.get("spec")`, go on with `typeOf(field.ref)`. For a
 * list or map the field describes its elements: `spec.containers` is `{ array: true, ref: "core/v1.Container",
 * patchStrategy: ["merge"], mergeKey: "name" }`. Inlined structs (a Volume's source) are part of `fields`.
 *
 * `generated/schema.txt` has one line a type, `name:field;field;...`, one field being
 * `name number flags type[=Go type][ strategy,strategy[@mergeKey]]`. The number is protobuf's. Flags: r required,
 * o omitempty, p pointer, i inlined (its name is `*`), `-` none. A type is `[]` and `{}` (list of, map of strings to)
 * before a scalar or a type of the same or, with a slash, another group version. Read on first use, parsed type by type.
 */
import { readFileSync } from "node:fs";
import { resourceEntries } from "../../generated/resources.ts";
import schemaFile from "../../generated/schema.txt" with { type: "file" };

/**
 * `bytes` is base64 text in JSON, `time` and `microtime` are RFC 3339 text, `quantity` is text or a number,
 * `intorstring` is either, `any` is any JSON (RawExtension, FieldsV1), `object` is the type named by `ref`.
 */
export type FieldType =
  | "string"
  | "bool"
  | "int32"
  | "int64"
  | "float64"
  | "bytes"
  | "time"
  | "microtime"
  | "quantity"
  | "intorstring"
  | "any"
  | "object";

export type PatchStrategy = "merge" | "replace" | "retainKeys";

export interface Field {
  readonly name: string;
  /** Of the value, or of the elements of a list or map. */
  readonly type: FieldType;
  /** For `typeOf`, when `type` is `object`. */
  readonly ref: string | undefined;
  readonly array: boolean;
  /** A map from strings; with `array` a map to lists. */
  readonly map: boolean;
  readonly required: boolean;
  /** Whether the Go server leaves the zero value out of its JSON. */
  readonly omitEmpty: boolean;
  /** Whether Go tells absent from zero. */
  readonly pointer: boolean;
  /** Protobuf field number, 0 when the field is newer than the table. */
  readonly number: number;
  /** As Go's JSON errors print it, for example `int32`, `[]v1.Container`, `v1.PullPolicy`. */
  readonly goType: string;
  readonly patchStrategy: readonly PatchStrategy[];
  readonly mergeKey: string | undefined;
}

export interface TypeSchema {
  /** For example `core/v1.PodSpec`. */
  readonly name: string;
  /** Name of the Go struct, for example `PodSpec`. */
  readonly goName: string;
  /** By JSON name, fields of inlined structs included. */
  readonly fields: ReadonlyMap<string, Field>;
  /** By protobuf number, without those of inlined structs. */
  readonly byNumber: ReadonlyMap<number, Field>;
  /** Structs that are inlined in JSON but are messages of their own in protobuf. */
  readonly inlined: readonly { readonly number: number; readonly type: TypeSchema }[];
}

const GO_TYPES: Readonly<Record<string, string>> = {
  bytes: "[]uint8",
  time: "v1.Time",
  microtime: "v1.MicroTime",
  quantity: "resource.Quantity",
  intorstring: "intstr.IntOrString",
};

const parsed = new Map<string, TypeSchema>();
let lines: Map<string, string> | undefined;

/** The type of a kind that is stored, sent as a request or a subresource; undefined for any other. */
export function schemaOf(apiVersion: string, kind: string): TypeSchema | undefined {
  if (kind === "DeleteOptions") return typeOf("meta/v1.DeleteOptions"); // Every group version has it.
  const slash = apiVersion.indexOf("/");
  if (slash >= 0 && !isBuiltInGroup(apiVersion.slice(0, slash))) return undefined;
  const group = slash < 0 ? "core" : apiVersion.slice(0, slash).split(".", 1)[0];
  return typeOf(`${group}/${apiVersion.slice(slash + 1)}.${kind}`);
}

let builtInGroups: ReadonlySet<string> | undefined;

/** The table has the first word of a group only, which a custom resource's group may share: `storage.example.com`. */
function isBuiltInGroup(group: string): boolean {
  builtInGroups ??= new Set([
    "meta.k8s.io",
    ...resourceEntries.flatMap((entry) => [entry.group, ...entry.subresources.map((sub) => sub.group)]),
  ]);
  return builtInGroups.has(group);
}

/** A type by its name, as `Field.ref` gives it. */
export function typeOf(name: string | undefined): TypeSchema | undefined {
  if (name === undefined) return undefined;
  const known = parsed.get(name);
  if (known !== undefined) return known;
  lines ??= readLines();
  const line = lines.get(name);
  return line === undefined ? undefined : parseType(name, line);
}

/** Changes with the table. */
export function schemaVersion(): string {
  return Bun.hash(readFileSync(schemaFile)).toString(16);
}

function readLines(): Map<string, string> {
  const found = new Map<string, string>();
  for (const line of readFileSync(schemaFile, "utf8").split("\n")) {
    const colon = line.indexOf(":");
    if (colon > 0) found.set(line.slice(0, colon), line.slice(colon + 1));
  }
  return found;
}

function parseType(name: string, line: string): TypeSchema {
  const dot = name.lastIndexOf(".");
  const home = name.slice(0, dot);
  const fields = new Map<string, Field>();
  const byNumber = new Map<number, Field>();
  const inlined: { number: number; type: TypeSchema }[] = [];
  const type = { name, goName: name.slice(dot + 1), fields, byNumber, inlined };
  parsed.set(name, type); // Before its fields: no type inlines itself, but many refer to themselves.
  for (const text of line === "" ? [] : line.split(";")) {
    const field = parseField(text, home);
    if (field.name !== "*") {
      fields.set(field.name, field);
      if (field.number > 0) byNumber.set(field.number, field);
      continue;
    }
    const inner = typeOf(field.ref);
    if (inner === undefined)
      throw new Error(`generated/schema.txt inlines "${field.ref}", which it does not have`);
    inlined.push({ number: field.number, type: inner });
    for (const [innerName, innerField] of inner.fields) fields.set(innerName, innerField);
  }
  return type;
}

function parseField(text: string, home: string): Field {
  const [name = "", number = "0", flags = "", notation = "", patch = ""] = text.split(" ");
  const equals = notation.indexOf("=");
  const shape = equals < 0 ? notation : notation.slice(0, equals);
  const base = shape.replace(/^(?:\{\}|\[\])+/, "");
  const isScalar = /^[a-z0-9]+$/.test(base);
  const ref = isScalar ? undefined : base.includes("/") ? base : `${home}.${base}`;
  const [strategies = "", mergeKey] = patch.split("@");
  return {
    name,
    type: isScalar ? (base as FieldType) : "object",
    ref,
    array: shape.includes("[]"),
    map: shape.includes("{}"),
    required: flags.includes("r"),
    omitEmpty: flags.includes("o"),
    pointer: flags.includes("p"),
    number: Number(number),
    goType: equals < 0 ? goTypeOf(shape, base, ref) : notation.slice(equals + 1),
    patchStrategy: strategies === "" ? [] : (strategies.split(",") as PatchStrategy[]),
    mergeKey,
  };
}

function goTypeOf(shape: string, base: string, ref: string | undefined): string {
  const element = ref === undefined ? (GO_TYPES[base] ?? base) : ref.slice(ref.indexOf("/") + 1);
  return shape.slice(0, shape.length - base.length).replace("{}", "map[string]") + element;
}
