/**
 * Reads `application/vnd.kubernetes.protobuf` request bodies, which kubectl since 1.32 and helm send and never repeat
 * as JSON. The result is the JSON value that the same client would have sent; `decodeObject` makes an object of it.
 */
import { apiVersionOf } from "../../k8s/catalogue.ts";
import { MAX_JSON_DEPTH } from "../../k8s/json-text.ts";
import { type Field, schemaOf, type TypeSchema, typeOf } from "../../k8s/schema.ts";
import { StatusError } from "../../k8s/status-error.ts";
import { type ExpectedKind, unrecognized } from "../../k8s/strict-decode.ts";
import { decodeRawJson, decodeScalarMessage } from "./protobuf-scalars.ts";
import { ProtobufError, ProtobufReader, WIRE_BYTES, WIRE_DOUBLE, WIRE_VARINT } from "./protobuf-wire.ts";

export const PROTOBUF_MEDIA_TYPE = "application/vnd.kubernetes.protobuf";

/** `k8s` and a zero byte, before every message (apimachinery `serializer/protobuf`). */
const PREFIX = Buffer.from("k8s\0");

/**
 * Fields that this version does not know are left out, as the real server does. Throws `BadRequest` for bytes that are
 * no such message and `UnsupportedMediaType` for the few kinds whose field numbers are not known.
 */
export function decodeProtobuf(body: Uint8Array, expected: ExpectedKind): Record<string, unknown> {
  try {
    return decodeUnknown(body, expected);
  } catch (error) {
    if (error instanceof ProtobufError) throw unrecognized(expected, error.message, body);
    throw error;
  }
}

/** `runtime.Unknown`: apiVersion and kind in field 1, the object's own message in field 2. */
function decodeUnknown(body: Uint8Array, expected: ExpectedKind): Record<string, unknown> {
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  if (!bytes.subarray(0, PREFIX.length).equals(PREFIX)) {
    throw new ProtobufError(
      "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]",
    );
  }
  const reader = new ProtobufReader(bytes.subarray(PREFIX.length));
  const meta = new Map<number, string>();
  let raw: Buffer = Buffer.alloc(0);
  for (let tag = reader.tag(); tag !== undefined; tag = reader.tag()) {
    if (tag.wire !== WIRE_BYTES) reader.skip(tag.wire);
    else if (tag.number === 1) readTypeMeta(reader.bytes(), meta);
    else if (tag.number === 2) raw = reader.bytes();
    else reader.skip(tag.wire);
  }
  const apiVersion = meta.get(1) || apiVersionOf(expected);
  const kind = meta.get(2) || expected.kind;
  const schema = schemaOf(apiVersion, kind);
  if (schema === undefined) return { apiVersion, kind };
  if (schema.byNumber.size === 0) {
    const message = `the body of the request was in an unknown format - accepted media types include: application/json, application/yaml`;
    throw new StatusError("UnsupportedMediaType", message);
  }
  return { ...decodeMessage(raw, schema, 0), apiVersion, kind };
}

function readTypeMeta(bytes: Buffer, meta: Map<number, string>): void {
  const reader = new ProtobufReader(bytes);
  for (let tag = reader.tag(); tag !== undefined; tag = reader.tag()) {
    if (tag.wire === WIRE_BYTES) meta.set(tag.number, reader.bytes().toString("utf8"));
    else reader.skip(tag.wire);
  }
}

function decodeMessage(bytes: Buffer, schema: TypeSchema, depth: number): Record<string, unknown> {
  if (depth > MAX_JSON_DEPTH) throw new ProtobufError("exceeded max depth");
  const result = new Map<string, unknown>();
  const reader = new ProtobufReader(bytes);
  for (let tag = reader.tag(); tag !== undefined; tag = reader.tag()) {
    const { number, wire } = tag;
    const field = schema.byNumber.get(number);
    const inlined = schema.inlined.find((one) => one.number === number);
    if (field !== undefined) {
      readField(reader, field, { wire, depth, result });
    } else if (inlined !== undefined && wire === WIRE_BYTES) {
      const inner = decodeMessage(reader.bytes(), inlined.type, depth + 1);
      for (const [name, value] of Object.entries(inner)) result.set(name, value);
    } else {
      reader.skip(wire);
    }
  }
  return Object.fromEntries([...result].map(([name, value]) => [name, plain(value)]));
}

function plain(value: unknown): unknown {
  return value instanceof Map ? Object.fromEntries(value as Map<string, unknown>) : value;
}

interface Place {
  readonly wire: number;
  readonly depth: number;
  readonly result: Map<string, unknown>;
}

function readField(reader: ProtobufReader, field: Field, { wire, depth, result }: Place): void {
  if (field.map) {
    expectWire(wire, WIRE_BYTES, field);
    const entries =
      (result.get(field.name) as Map<string, unknown> | undefined) ?? new Map<string, unknown>();
    readMapEntry(reader.bytes(), field, { depth, entries });
    result.set(field.name, entries);
    return;
  }
  if (!field.array) {
    result.set(field.name, readElement(reader, field, { wire, depth }));
    return;
  }
  const list = (result.get(field.name) as unknown[] | undefined) ?? [];
  result.set(field.name, list);
  if (wire !== WIRE_BYTES || wireOf(field) !== WIRE_VARINT) {
    list.push(readElement(reader, field, { wire, depth }));
    return;
  }
  const packed = new ProtobufReader(reader.bytes());
  while (!packed.atEnd()) list.push(readElement(packed, field, { wire: WIRE_VARINT, depth }));
}

/** A map is a list of messages: key in field 1, value in field 2. */
function readMapEntry(
  bytes: Buffer,
  field: Field,
  { depth, entries }: { depth: number; entries: Map<string, unknown> },
): void {
  const reader = new ProtobufReader(bytes);
  let key = "";
  let value: unknown = field.array ? [] : emptyElement(field);
  for (let tag = reader.tag(); tag !== undefined; tag = reader.tag()) {
    if (tag.number === 1 && tag.wire === WIRE_BYTES) key = reader.bytes().toString("utf8");
    else if (tag.number !== 2) reader.skip(tag.wire);
    else if (field.array) value = readItems(reader.bytes(), field, depth + 1);
    else value = readElement(reader, field, { wire: tag.wire, depth: depth + 1 });
  }
  entries.set(key, value);
}

/** The list that is a map's value is a message of its own (`ExtraValue.items`). */
function readItems(bytes: Buffer, field: Field, depth: number): unknown[] {
  const reader = new ProtobufReader(bytes);
  const items: unknown[] = [];
  for (let tag = reader.tag(); tag !== undefined; tag = reader.tag()) {
    if (tag.number === 1) items.push(readElement(reader, field, { wire: tag.wire, depth }));
    else reader.skip(tag.wire);
  }
  return items;
}

/** A map entry without a value has the zero value. */
function emptyElement({ type }: Field): unknown {
  if (type === "object") return {};
  return type === "quantity" ? "0" : type === "string" || type === "bytes" ? "" : null;
}

function wireOf({ type }: Field): number {
  if (type === "bool" || type === "int32" || type === "int64") return WIRE_VARINT;
  return type === "float64" ? WIRE_DOUBLE : WIRE_BYTES;
}

function expectWire(wire: number, expected: number, field: Field): void {
  if (wire !== expected) throw new ProtobufError(`proto: wrong wireType = ${wire} for field ${field.name}`);
}

function readElement(
  reader: ProtobufReader,
  field: Field,
  { wire, depth }: { wire: number; depth: number },
): unknown {
  expectWire(wire, wireOf(field), field);
  switch (field.type) {
    case "bool":
      return reader.varint() !== 0n;
    case "int32":
      return reader.integer(32);
    case "int64":
      return reader.integer(64);
    case "float64":
      return reader.double();
    case "string":
      return reader.bytes().toString("utf8");
    case "bytes":
      return reader.bytes().toString("base64");
    case "object":
      return decodeNested(reader.bytes(), field.ref, depth);
    case "any":
      return decodeRawJson(reader.bytes(), field.goType, (bytes) => decodeNested(bytes, JSON_SCHEMA, depth));
    case "time":
    case "microtime":
    case "quantity":
    case "intorstring":
    default:
      return decodeScalarMessage(reader.bytes(), field.type);
  }
}

const JSON_SCHEMA = "apiextensions/v1.JSONSchemaProps";

function decodeNested(bytes: Buffer, name: string | undefined, depth: number): Record<string, unknown> {
  const schema = typeOf(name);
  if (schema === undefined) throw new Error(`The schema has no type "${name}"`);
  return decodeMessage(bytes, schema, depth + 1);
}
