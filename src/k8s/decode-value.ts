/** Turns any JSON value into one of a type of the field table, as Go's decoder would: unknown fields named, wrong types refused. */
import { isJsonObject } from "../lib/frozen-json.ts";
import { DecodeError, decodeScalar, describeJson, zeroOf } from "./decode-scalar.ts";
import { type Field, type TypeSchema, typeOf } from "./schema.ts";

export interface Decoded<Shape = Record<string, unknown>> {
  readonly object: Shape;
  /** `unknown field "spec.bogus"`, `duplicate field "spec.nodeName"`; what `Strict` refuses and `Warn` warns of. */
  readonly strictErrors: readonly string[];
}

/** The real server accumulates no more (`sigs.k8s.io/json`). */
export const MAX_STRICT_ERRORS = 100;

/** Any part of an object by its type: for patch results and subresources. Throws `DecodeError` for a wrong type. */
export function decodeValue(value: unknown, schema: TypeSchema): Decoded {
  const decoder = new Decoder();
  const object = decoder.struct(value, schema, schema.name.replace("/", "."));
  return { object: object ?? {}, strictErrors: [...decoder.strictErrors] };
}

const SCHEMA_OR = /^v1\.JSONSchemaPropsOr(?:Array|Bool)$/;

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
    if (!isJsonObject(value)) throw this.#typeError(value, goType);
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
    if (!isJsonObject(value)) throw this.#typeError(value, field.goType);
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
    if (field.type === "any" && SCHEMA_OR.test(goType)) return this.#schemaOr(value, goType);
    if (field.type === "object") {
      const schema = typeOf(field.ref);
      if (schema === undefined) throw new Error(`The schema has no type "${field.ref}"`);
      return this.struct(value, schema, goType) ?? this.#complete(new Map(), schema);
    }
    if (value === null) return zeroOf(field.type);
    return decodeScalar(value, field.type, (given, type) => this.#typeError(given, type ?? goType));
  }

  /** Types that are a schema, or else a flag or a list of schemas. */
  #schemaOr(value: unknown, goType: string): unknown {
    const schema = typeOf("apiextensions/v1.JSONSchemaProps");
    if (schema === undefined) throw new Error("The schema has no JSONSchemaProps");
    if (typeof value === "boolean" && goType.endsWith("OrBool")) return value;
    if (!Array.isArray(value) || !goType.endsWith("OrArray"))
      return this.struct(value, schema, "v1.JSONSchemaProps");
    return value.map((one, index) => {
      this.#path.push(`[${index}]`);
      const decoded = this.struct(one, schema, "v1.JSONSchemaProps");
      this.#path.pop();
      return decoded;
    });
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
    return Array.isArray(value) ? value.length === 0 : isJsonObject(value) && Object.keys(value).length === 0;
  }
  return value === "" || value === false || (value === 0 && field.type !== "intorstring");
}
