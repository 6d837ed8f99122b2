/** Takes a custom resource as a client sent it: its metadata by Kubernetes' own types, everything else by its definition's schema. */
import { isJsonObject, type JsonObject } from "../../lib/frozen-json.ts";
import { type Decoded, decodeValue } from "../decode-value.ts";
import { invalid, invalidObject } from "../field-error.ts";
import type { KubeObject } from "../object.ts";
import { type Field, schemaOf, type TypeSchema } from "../schema.ts";
import { StatusError } from "../status-error.ts";
import { defaultCustom } from "./default.ts";
import type { CustomVersion } from "./definition.ts";
import { pruneResource } from "./prune.ts";

/** Where a request went, and what lives there; an entry of the catalogue fits. */
export interface CustomTarget {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  readonly custom: CustomVersion;
}

export function isCustomTarget<T extends Partial<CustomTarget>>(target: T): target is T & CustomTarget {
  return target.custom !== undefined;
}

/**
 * Without unknown fields, each of them named among the strict errors, and with the schema's defaults. Throws `BadRequest` for
 * another version, `Invalid` for another kind, `DecodeError` for metadata of a wrong type.
 */
export function decodeCustom(value: JsonObject, target: CustomTarget): Decoded<KubeObject> {
  checkTypeMeta(value, target);
  const schema = target.custom.version.schema?.openAPIV3Schema;
  const meta = decodeValue({ metadata: value["metadata"] ?? {} }, onlyMetadata());
  const strictErrors = [...meta.strictErrors];
  const pruned = pruneResource(value, schema, (path) => strictErrors.push(`unknown field "${path}"`));
  const { group, version, kind } = target;
  const object = {
    ...defaultCustom(pruned, schema),
    apiVersion: `${group}/${version}`,
    kind,
    ...meta.object,
  };
  return { object: object as unknown as KubeObject, strictErrors };
}

function checkTypeMeta(value: JsonObject, { group, version, kind }: CustomTarget): void {
  const { apiVersion: givenVersion, kind: givenKind } = value;
  const apiVersion = `${group}/${version}`;
  if (isGiven(givenVersion) && givenVersion !== apiVersion) {
    throw new StatusError(
      "BadRequest",
      `the API version in the data (${text(givenVersion)}) does not match the expected API version (${apiVersion})`,
    );
  }
  if (!isGiven(givenKind) || givenKind === kind) return;
  const { metadata } = value;
  const name = isJsonObject(metadata) && typeof metadata["name"] === "string" ? metadata["name"] : "";
  throw invalidObject({ group, kind, name }, [invalid("kind", text(givenKind), `must be ${kind}`)]);
}

function isGiven(value: unknown): boolean {
  return value !== undefined && value !== null && value !== "";
}

function text(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

let metadataOnly: TypeSchema | undefined;

/** A struct with nothing in it but `metadata`. */
function onlyMetadata(): TypeSchema {
  if (metadataOnly !== undefined) return metadataOnly;
  const field: Field | undefined = schemaOf("v1", "ConfigMap")?.fields.get("metadata");
  if (field === undefined) throw new Error("The schema has no metadata");
  metadataOnly = {
    name: "meta/v1.PartialObjectMetadata",
    goName: "PartialObjectMetadata",
    fields: new Map([["metadata", field]]),
    byNumber: new Map(),
    inlined: [],
  };
  return metadataOnly;
}
