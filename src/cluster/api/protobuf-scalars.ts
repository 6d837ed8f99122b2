/** Messages that are a single value in JSON: times, quantities, int-or-string, raw JSON. */
import { JsonTextError, parseJsonText } from "../../k8s/json-text.ts";
import { formatTimestamp } from "../../k8s/timestamp.ts";
import { ProtobufError, ProtobufReader, WIRE_BYTES, WIRE_VARINT } from "./protobuf-wire.ts";

/** What a message holds, by field number. */
interface Values {
  readonly numbers: ReadonlyMap<number, bigint>;
  readonly bytes: ReadonlyMap<number, Buffer>;
  /** All of field 2 where it is bytes: the repeated alternative of a union. */
  readonly lists: readonly Buffer[];
}

/** The JSON value; null for the zero time. */
export function decodeScalarMessage(
  message: Buffer,
  type: "time" | "microtime" | "quantity" | "intorstring",
): unknown {
  const { numbers, bytes } = readValues(message);
  if (type === "quantity") return bytes.get(1)?.toString("utf8") || "0";
  if (type === "intorstring") {
    const isText = numbers.get(1) === 1n;
    return isText ? (bytes.get(3)?.toString("utf8") ?? "") : Number(BigInt.asIntN(32, numbers.get(2) ?? 0n));
  }
  return message.length === 0 ? null : timeText(numbers, type === "microtime");
}

/** Timestamp: seconds in field 1, nanoseconds in field 2. */
function timeText(numbers: ReadonlyMap<number, bigint>, micros: boolean): string {
  const seconds = Number(BigInt.asIntN(64, numbers.get(1) ?? 0n));
  const nanos = Number(BigInt.asIntN(32, numbers.get(2) ?? 0n));
  // Year 9999 is the last that RFC 3339 can write; Go refuses others when it writes JSON.
  if (Math.abs(seconds) > 253_402_300_799)
    throw new ProtobufError("Time.MarshalJSON: year outside of range [0,9999]");
  const whole = formatTimestamp(seconds * 1000);
  if (!micros) return whole;
  return `${whole.slice(0, -1)}.${String(Math.trunc(nanos / 1000))
    .padStart(6, "0")
    .slice(-6)}Z`;
}

/**
 * The types whose JSON is anything at all. Most hold JSON text; the three unions of apiextensions hold a schema or a
 * plain value, and `schemaOf` decodes the schema.
 */
export function decodeRawJson(
  message: Buffer,
  goType: string,
  schemaOf: (bytes: Buffer) => unknown,
): unknown {
  const { numbers, bytes, lists } = readValues(message);
  const text = (number: number) => bytes.get(number);
  switch (goType) {
    case "v1.JSONSchemaPropsOrArray":
      return lists.length > 0 ? lists.map(schemaOf) : schemaOf(text(1) ?? Buffer.alloc(0));
    case "v1.JSONSchemaPropsOrBool": {
      const schema = text(2);
      return schema === undefined ? numbers.get(1) === 1n : schemaOf(schema);
    }
    case "v1.JSONSchemaPropsOrStringArray": {
      const schema = text(1);
      return schema === undefined ? lists.map((item) => item.toString("utf8")) : schemaOf(schema);
    }
    default:
      return parseRaw(text(1));
  }
}

function parseRaw(raw: Buffer | undefined): unknown {
  if (raw === undefined || raw.length === 0) return null;
  try {
    return parseJsonText(raw.toString("utf8")).value;
  } catch (error) {
    if (error instanceof JsonTextError) throw new ProtobufError(error.message);
    throw error;
  }
}

function readValues(message: Buffer): Values {
  const numbers = new Map<number, bigint>();
  const bytes = new Map<number, Buffer>();
  const lists: Buffer[] = [];
  const reader = new ProtobufReader(message);
  for (let tag = reader.tag(); tag !== undefined; tag = reader.tag()) {
    if (tag.wire === WIRE_VARINT) numbers.set(tag.number, reader.varint());
    else if (tag.wire === WIRE_BYTES) {
      const value = reader.bytes();
      bytes.set(tag.number, value);
      if (tag.number === 2) lists.push(value);
    } else reader.skip(tag.wire);
  }
  return { numbers, bytes, lists };
}
