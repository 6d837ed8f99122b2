/**
 * Turns JSON that a client sent into an object of a known kind, as the real server's Go types would take it: unknown
 * fields are dropped and named, wrong types refused, zero values left out, quantities and times made canonical.
 */
import { isJsonObject, type JsonObject } from "../lib/frozen-json.ts";
import { apiVersionOf, resourceOfKind } from "./catalogue.ts";
import { type CustomTarget, decodeCustom, isCustomTarget } from "./custom/decode-custom.ts";
import type { CustomVersion } from "./custom/definition.ts";
import { DecodeError, describeJson } from "./decode-scalar.ts";
import { type Decoded, decodeValue, MAX_STRICT_ERRORS } from "./decode-value.ts";
import type { KubeObject } from "./object.ts";
import { schemaOf } from "./schema.ts";
import { StatusError } from "./status-error.ts";

/** `fieldValidation` of a write request; the real server's default is `Warn`. */
export type FieldValidation = "Strict" | "Warn" | "Ignore";

/** Kind and version that a path stands for. */
export interface ExpectedKind {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  /** Of a custom resource: its schema stands in its definition. */
  readonly custom?: CustomVersion;
}

/**
 * A request body that was parsed already (`parseJsonText`, YAML or protobuf) as an object of the expected kind.
 * An absent apiVersion or kind is filled in. Throws `BadRequest` in the words of the real server.
 */
export function decodeObject(
  value: unknown,
  expected: ExpectedKind,
  duplicates: readonly string[] = [],
): Decoded<KubeObject> {
  if (!isJsonObject(value)) {
    const why = `json: cannot unmarshal ${describeJson(value)} into Go value of type struct`;
    throw unrecognized(
      expected,
      `couldn't get version/kind; json parse error: ${why}`,
      JSON.stringify(value),
    );
  }
  if (isCustomTarget(expected)) return decodeCustomObject(value, expected, duplicates);
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

function decodeCustomObject(
  value: JsonObject,
  target: CustomTarget,
  duplicates: readonly string[],
): Decoded<KubeObject> {
  try {
    const { object, strictErrors } = decodeCustom(value, target);
    const repeated = duplicates.map((path) => `duplicate field "${path}"`);
    return { object, strictErrors: [...repeated, ...strictErrors].slice(0, MAX_STRICT_ERRORS) };
  } catch (error) {
    if (error instanceof DecodeError) throw cannotHandle(target, error.message);
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

function typeMetaOf(value: JsonObject, expected: ExpectedKind): { apiVersion: string; kind: string } {
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
