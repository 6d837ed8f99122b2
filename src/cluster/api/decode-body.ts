/** Turns a request's body, in whatever encoding, into a plain value, and says why when it cannot. */
import { parseDocument, type ParseOptions, type SchemaOptions, type Tags, type DocumentOptions } from "yaml";
import { messageOf } from "../../kernel/problem.ts";
import { JsonTextError, parseJsonText } from "../../k8s/json-text.ts";
import { StatusError } from "../../k8s/status-error.ts";
import { type ExpectedKind, unrecognized } from "../../k8s/strict-decode.ts";
import type { ApiRequest } from "./exchange.ts";
import { decodeProtobuf, PROTOBUF_MEDIA_TYPE } from "./protobuf.ts";

export interface Body {
  readonly value: unknown;
  /** Paths of keys that come twice in one object. */
  readonly duplicates: readonly string[];
}

const JSON_TYPE = "application/json";
const YAML_TYPE = "application/yaml";
const OBJECT_TYPES = [JSON_TYPE, YAML_TYPE, PROTOBUF_MEDIA_TYPE] as const;

/** More would be an attack on memory rather than an object. */
const MAX_ALIASES = 100;

/** sigs.k8s.io/yaml: version 1.1 scalars, and nothing that JSON has no type for. */
const YAML_OPTIONS: ParseOptions & DocumentOptions & SchemaOptions = {
  version: "1.1",
  merge: true,
  uniqueKeys: false,
  logLevel: "silent",
  customTags: (tags: Tags) => tags.filter((tag) => typeof tag === "string" || !NOT_JSON.has(tag.tag)),
};
const NOT_JSON = new Set(
  ["timestamp", "binary", "omap", "pairs", "set"].map((tag) => `tag:yaml.org,2002:${tag}`),
);

/** Media type of the body, in lower case and without parameters; JSON when the client does not say. */
export function contentTypeOf(request: ApiRequest): string {
  const type = (request.headers["content-type"] ?? "").split(";", 1)[0]?.trim().toLowerCase() ?? "";
  return type === "" || type === "*/*" ? JSON_TYPE : type;
}

/** `UnsupportedMediaType` with what would be accepted. */
export function unsupportedMediaType(accepted: readonly string[]): StatusError {
  return new StatusError(
    "UnsupportedMediaType",
    `the body of the request was in an unknown format - accepted media types include: ${accepted.join(", ")}`,
  );
}

/** The body as JSON, YAML or protobuf. An absent body is refused as the empty text it is. */
export async function readObjectBody(request: ApiRequest, expected: ExpectedKind): Promise<Body> {
  const type = contentTypeOf(request);
  if (!OBJECT_TYPES.some((known) => known === type)) throw unsupportedMediaType(OBJECT_TYPES);
  return parseObjectBody(await request.readBody(), type, expected);
}

/** `type` is one of those that `readObjectBody` takes. Throws `BadRequest`. */
export function parseObjectBody(bytes: Uint8Array, type: string, expected: ExpectedKind): Body {
  if (type === YAML_TYPE) return parseYaml(bytes, expected);
  if (type === PROTOBUF_MEDIA_TYPE) return { value: decodeProtobuf(bytes, expected), duplicates: [] };
  const text = textOf(bytes);
  try {
    return parseJsonText(text);
  } catch (error) {
    if (!(error instanceof JsonTextError)) throw error;
    throw unrecognized(expected, `couldn't get version/kind; json parse error: ${error.message}`, bytes);
  }
}

/** Octets that are no UTF-8 become U+FFFD, as in Go. */
function textOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

function parseYaml(bytes: Uint8Array, expected: ExpectedKind): Body {
  const text = textOf(bytes);
  try {
    const document = parseDocument(text, YAML_OPTIONS);
    const [error] = document.errors;
    if (error !== undefined) throw error;
    return { value: document.toJS({ maxAliasCount: MAX_ALIASES }), duplicates: [] };
  } catch (error) {
    const [firstLine] = messageOf(error).split("\n");
    throw unrecognized(expected, `error converting YAML to JSON: yaml: ${firstLine}`, bytes);
  }
}
