/** Turns a request's body, in whatever encoding, into a plain value, and says why when it cannot. */
import { messageOf } from "../../kernel/problem.ts";
import { JsonTextError, parseJsonText } from "../../k8s/json-text.ts";
import { StatusError } from "../../k8s/status-error.ts";
import { type ExpectedKind, unrecognized } from "../../k8s/strict-decode.ts";
import type { ApiRequest } from "./exchange.ts";
import { parseYaml, type Yaml } from "./parse-yaml.ts";
import { decodeProtobuf, PROTOBUF_MEDIA_TYPE } from "./protobuf.ts";

export type Body = Yaml;

const JSON_TYPE = "application/json";
const YAML_TYPE = "application/yaml";
const OBJECT_TYPES = [JSON_TYPE, YAML_TYPE, PROTOBUF_MEDIA_TYPE] as const;

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
  const type = objectTypeOf(request);
  // Protobuf is written from Go types, which custom resources have none of.
  if (expected.custom !== undefined && type === PROTOBUF_MEDIA_TYPE) {
    throw unsupportedMediaType([JSON_TYPE, YAML_TYPE]);
  }
  return parseObjectBody(await request.readBody(), type, expected);
}

/** As `contentTypeOf`, for bodies that are objects. Throws `UnsupportedMediaType`. */
export function objectTypeOf(request: ApiRequest): string {
  const type = contentTypeOf(request);
  if (OBJECT_TYPES.some((known) => known === type)) return type;
  throw unsupportedMediaType(OBJECT_TYPES);
}

/** `type` is one of those of `objectTypeOf`. Throws `BadRequest`. */
export function parseObjectBody(bytes: Uint8Array, type: string, expected: ExpectedKind): Body {
  if (type === YAML_TYPE) return readYaml(bytes, expected);
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

function readYaml(bytes: Uint8Array, expected: ExpectedKind): Body {
  const text = textOf(bytes);
  try {
    return jsonIn(text) ?? parseYaml(text);
  } catch (error) {
    const [firstLine] = messageOf(error).split("\n");
    throw unrecognized(expected, `error converting YAML to JSON: yaml: ${firstLine}`, bytes);
  }
}

/** What clients call YAML is nearly always JSON, which is read much faster as such. */
function jsonIn(text: string): Body | undefined {
  if (!text.startsWith("{")) return undefined;
  try {
    return parseJsonText(text);
  } catch {
    return undefined; // YAML in braces.
  }
}
