/**
 * Turns JSON that a client sent into an object of a known kind, as the real server's Go types would take it: unknown
 * fields are dropped and named, wrong types refused, zero values left out, quantities and times made canonical.
 */
import { apiVersionOf, resourceOfKind } from "./catalogue.ts";
import { DecodeError, decodeScalar, describeJson, zeroOf } from "./decode-scalar.ts";
import type { KubeObject } from "./object.ts";
import { type Field, schemaOf, type TypeSchema, typeOf } from "./schema.ts";
import { StatusError } from "./status-error.ts";

/** `fieldValidation` of a write request; the real server's default is `Warn`. */
export type FieldValidation = "Strict" | "Warn" | "Ignore";

export interface Decoded<Shape = Record<string, unknown>> {
  readonly object: Shape;
  /** `unknown field "spec.bogus"`, `duplicate field "spec.nodeName"`; what `Strict` refuses and `Warn` warns of. */
  readonly strictErrors: readonly string[];
}

/** Kind and version that a path stands for. */
export interface ExpectedKind {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
}

/** The real server accumulates no more (`sigs.k8s.io/json`). */
const MAX_STRICT_ERRORS = 100;

/**
 * A request body that was parsed already (`parseJsonText`, YAML or protobuf) as an object of the expected kind.
 * An absent apiVersion or kind is filled in. Throws `BadRequest` in the words of the real server.
 */
export function decodeObject(
  value: unknown,
  expected: ExpectedKind,
  duplicates: readonly string[] = [],
): Decoded<KubeObject> {
  if (!isRecord(value)) {
    const why = `json: cannot unmarshal ${describeJson(value)} into Go value of type struct`;
    throw unrecognized(
      expected,
      `couldn't get version/kind; json parse error: ${why}`,
      JSON.stringify(value),
    );
  }
  const { apiVersion, kind } = typeMetaOf(value, expected);
  const schema = schemaOf(apiVersion, kind);
  if (schema === undefined || !isExpected({ apiVersion, kind }, expected)) {
    throw cannotHandle(expected, whyOtherKind({ apiVersion, kind }, expected), { apiVersion, kind });
  }
  try {
    const decoded = decodeValue({ ...value, apiVersion, kind }, schema);
    const repeated = duplicates.map((path) => `duplicate field "${path}"`);
    return {
      object: decoded.object as KubeObject,
      strictErrors: [...repeated, ...decoded.strictErrors].slice(0, MAX_STRICT_ERRORS),
    };
  } catch (error) {
    if (error instanceof DecodeError) throw cannotHandle(expected, error.message);
    throw error;
  }
}

/**
 * What is to be sent as warnings. `Strict` throws `BadRequest` when there is an error; `Ignore` gives none.
 */
export function enforceFieldValidation(
  strictErrors: readonly string[],
  mode: FieldValidation,
  expected: ExpectedKind,
): readonly string[] {
  if (mode === "Ignore" || strictErrors.length === 0) return [];
  if (mode === "Warn") return strictErrors;
  throw cannotHandle(expected, strictDecodingError(strictErrors));
}

/** The text for all strict errors at once, for answers that are not a plain `BadRequest` (patches). */
export function strictDecodingError(strictErrors: readonly string[]): string {
  return `strict decoding error: ${strictErrors.join(", ")}`;
}

/** A body that is not even JSON or YAML: `BadRequest` as the real server words it. */
export function unrecognized(expected: ExpectedKind, why: string, body: string | Uint8Array): StatusError {
  return new StatusError(
    "BadRequest",
    `the object provided is unrecognized (must be of type ${expected.kind}): ${why} (${summarize(body)})`,
  );
}

/** Any part of an object by its type: for patch results and subresources. Throws `DecodeError` for a wrong type. */
export function decodeValue(value: unknown, schema: TypeSchema): Decoded {
  const decoder = new Decoder();
  const object = decoder.struct(value, schema, schema.name.replace("/", "."));
  return { object: object ?? {}, strictErrors: [...decoder.strictErrors] };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function typeMetaOf(
  value: Record<string, unknown>,
  expected: ExpectedKind,
): { apiVersion: string; kind: string } {
  const read = (name: "apiVersion" | "kind", otherwise: string): string => {
    const text = Object.hasOwn(value, name) ? value[name] : undefined;
    if (text === undefined || text === null || text === "") return otherwise;
    if (typeof text === "string") return text;
    const why = `json: cannot unmarshal ${describeJson(text)} into Go struct field .${name} of type string`;
    throw unrecognized(
      expected,
      `couldn't get version/kind; json parse error: ${why}`,
      JSON.stringify(value),
    );
  };
  return { apiVersion: read("apiVersion", apiVersionOf(expected)), kind: read("kind", expected.kind) };
}

interface TypeMeta {
  readonly apiVersion: string;
  readonly kind: string;
}

function isExpected({ apiVersion, kind }: TypeMeta, expected: ExpectedKind): boolean {
  // Clients send DeleteOptions in the version of the resource they delete.
  return kind === expected.kind && (kind === "DeleteOptions" || apiVersion === apiVersionOf(expected));
}

function whyOtherKind({ apiVersion, kind }: TypeMeta, expected: ExpectedKind): string {
  const other = resourceOfKind(apiVersion, kind);
  if (other === undefined) {
    return `no kind "${kind}" is registered for version "${apiVersion}" in scheme "pkg/api/legacyscheme/scheme.go:30"`;
  }
  const internal = (expected.group.split(".")[0] ?? "") || "core";
  return `converting (${other.version}.${kind}) to (${internal}.${expected.kind}): unknown conversion`;
}

function cannotHandle(expected: ExpectedKind, why: string, given?: TypeMeta): StatusError {
  const kind = given?.kind ?? expected.kind;
  const version = given?.apiVersion.replace(/^.*\//, "") ?? expected.version;
  return new StatusError(
    "BadRequest",
    `${kind} in version "${version}" cannot be handled as a ${expected.kind}: ${why}`,
  );
}

/** apiserver `summarizeData`. */
function summarize(body: string | Uint8Array): string {
  const bytes = Buffer.from(body);
  if (bytes.length === 0) return "<empty>";
  const start = bytes.subarray(0, 30);
  const shown = bytes[0] === 0x7b ? start.toString("utf8") : start.toString("hex");
  return bytes.length > 30 ? `${shown} ...` : shown;
}

/** One walk over the value and its type; knows where it is, as Go's decoder does. */
class Decoder {
  readonly strictErrors = new Set<string>();
  /** `spec`, `.containers`, `[0]`: for unknown fields. */
  readonly #path: string[] = [];
  /** Struct fields only: for type errors. */
  readonly #fields: string[] = [];
  /** Names of the Go structs around the value. */
  readonly #owners: string[] = [];

  /** Undefined for null. `goType` is what an error calls the type. */
  struct(value: unknown, schema: TypeSchema, goType: string): Record<string, unknown> | undefined {
    if (value === null || value === undefined) return undefined;
    if (!isRecord(value)) throw this.#typeError(value, goType);
    const given = new Map<string, unknown>();
    this.#owners.push(schema.goName);
    for (const [name, inner] of Object.entries(value)) {
      const field = schema.fields.get(name);
      this.#path.push(this.#path.length === 0 ? name : `.${name}`);
      if (field === undefined) {
        this.#unknown();
      } else {
        this.#fields.push(name);
        given.set(name, this.#field(inner, field));
        this.#fields.pop();
      }
      this.#path.pop();
    }
    this.#owners.pop();
    return this.#complete(given, schema);
  }

  /** Undefined means absent. */
  #field(value: unknown, field: Field): unknown {
    if (value === null) return undefined;
    if (field.map) return this.#map(value, field);
    return field.array ? this.#list(value, field) : this.#element(value, field);
  }

  #map(value: unknown, field: Field): unknown {
    if (!isRecord(value)) throw this.#typeError(value, field.goType);
    const entries = Object.entries(value).map(([key, inner]) => {
      this.#path.push(`.${key}`);
      const decoded = field.array ? this.#list(inner, field) : this.#element(inner, field);
      this.#path.pop();
      return [key, decoded] as const;
    });
    return Object.fromEntries(entries); // Defines, never assigns: a key "__proto__" is a key.
  }

  #list(value: unknown, field: Field): unknown {
    if (value === null) return [];
    if (!Array.isArray(value)) throw this.#typeError(value, field.goType);
    return value.map((inner, index) => {
      this.#path.push(`[${index}]`);
      const decoded = this.#element(inner, field);
      this.#path.pop();
      return decoded;
    });
  }

  #element(value: unknown, field: Field): unknown {
    const goType = field.array || field.map ? elementGoType(field.goType) : field.goType;
    if (field.type === "object") {
      const schema = typeOf(field.ref);
      if (schema === undefined) throw new Error(`The schema has no type "${field.ref}"`);
      return this.struct(value, schema, goType) ?? this.#complete(new Map(), schema);
    }
    if (value === null) return zeroOf(field.type);
    return decodeScalar(value, field.type, (given, type) => this.#typeError(given, type ?? goType));
  }

  /** Adds what Go always writes and leaves out what it never does. Null is never kept. */
  #complete(given: ReadonlyMap<string, unknown>, schema: TypeSchema): Record<string, unknown> {
    const entries: [string, unknown][] = [];
    for (const field of schema.fields.values()) {
      const value = given.get(field.name) ?? this.#absent(field);
      if (value !== undefined && !(field.omitEmpty && !field.pointer && isEmpty(value, field))) {
        entries.push([field.name, value]);
      }
    }
    return Object.fromEntries(entries);
  }

  #absent(field: Field): unknown {
    if (field.pointer || field.array || field.map) return undefined;
    if (field.type === "object") {
      const schema = typeOf(field.ref);
      return schema === undefined ? undefined : this.#complete(new Map(), schema);
    }
    return field.omitEmpty ? undefined : zeroOf(field.type);
  }

  #unknown(): void {
    if (this.strictErrors.size < MAX_STRICT_ERRORS) {
      this.strictErrors.add(`unknown field "${this.#path.join("")}"`);
    }
  }

  #typeError(value: unknown, goType: string): DecodeError {
    const into =
      this.#fields.length === 0
        ? "Go value"
        : `Go struct field ${this.#owners.at(-1)}.${this.#fields.join(".")}`;
    return new DecodeError(
      `json: cannot unmarshal ${describeJson(value, goType)} into ${into} of type ${goType}`,
    );
  }
}

/** `[]v1.Container` -> `v1.Container`, `map[string]string` -> `string`, `v1.ResourceList` -> `resource.Quantity`. */
function elementGoType(goType: string): string {
  if (goType === "v1.ResourceList") return "resource.Quantity";
  return goType.replace(/^(?:map\[[^\]]*\])?(?:\[\])?/, "");
}

/** Go's `omitempty`: structs are never empty. */
function isEmpty(value: unknown, field: Field): boolean {
  if (field.array || field.map) {
    return Array.isArray(value) ? value.length === 0 : isRecord(value) && Object.keys(value).length === 0;
  }
  return value === "" || value === false || (value === 0 && field.type !== "intorstring");
}
