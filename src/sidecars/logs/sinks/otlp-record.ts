/** Encodes records for OTLP/HTTP with JSON: opentelemetry-proto's `logs.proto`, in the JSON mapping that OTLP 1.x prescribes. */
import type { Host, PodIdentity } from "../../../kernel/host.ts";
import { epochNanos } from "../../../lib/rfc3339.ts";
import type { LogRecord } from "../record.ts";
import { idOf } from "./line-format.ts";
import { levelOf } from "./severity.ts";
import type { Piece } from "./sink.ts";

/** `AnyValue`: exactly one key. 64-bit integers are decimal strings in protobuf's JSON. */
export type AnyValue =
  | { readonly stringValue: string }
  | { readonly boolValue: boolean }
  | { readonly intValue: string }
  | { readonly doubleValue: number }
  | { readonly arrayValue: { readonly values: readonly AnyValue[] } }
  | { readonly kvlistValue: { readonly values: readonly KeyValue[] } };

export interface KeyValue {
  readonly key: string;
  readonly value: AnyValue;
}

/** Semantic conventions for what stages add: `log.file.path` and `log.iostream`. */
const CONVENTIONAL: Readonly<Record<string, string>> = { file: "log.file.path", stream: "log.iostream" };

/** `Piece.text` is a complete `LogRecord` message. */
export function encodeLogRecord(record: LogRecord, host: Host): Piece {
  const { fields, text, time } = record;
  const nanos = epochNanos(time) ?? `${host.now()}000000`;
  const level = levelOf(record);
  const message = fields["message"];
  const attributes: KeyValue[] = [];
  for (const [key, value] of Object.entries(fields)) {
    // Who we are stands in the resource; the message in the body.
    if (key === "pod" || (key === "message" && typeof message === "string")) continue;
    const typed = anyValue(value);
    if (typed !== undefined) attributes.push({ key: CONVENTIONAL[key] ?? key, value: typed });
  }
  const encoded = {
    timeUnixNano: nanos,
    ...(level === undefined ? {} : { severityNumber: level.severity.otlp, severityText: level.text }),
    body: { stringValue: typeof message === "string" ? message : text },
    attributes,
  };
  return { text: JSON.stringify(encoded), group: "", nanos, id: idOf(record) };
}

/** Undefined for null, which `AnyValue` has no form for. */
export function anyValue(value: unknown): AnyValue | undefined {
  if (typeof value === "string") return { stringValue: value };
  if (typeof value === "boolean") return { boolValue: value };
  if (typeof value === "number") {
    return Number.isSafeInteger(value) ? { intValue: String(value) } : { doubleValue: value };
  }
  if (Array.isArray(value)) {
    return { arrayValue: { values: value.flatMap((item) => anyValue(item) ?? { stringValue: "" }) } };
  }
  if (typeof value !== "object" || value === null) return undefined;
  return { kvlistValue: { values: keyValues(Object.entries(value)) } };
}

function keyValues(entries: readonly (readonly [string, unknown])[]): KeyValue[] {
  return entries.flatMap(([key, value]) => {
    const typed = anyValue(value);
    return typed === undefined ? [] : { key, value: typed };
  });
}

/**
 * The resource's attributes, by the semantic conventions for Kubernetes; what the configuration says wins. `service.name` is
 * required: the pod's label `app.kubernetes.io/name`, else the label `app`, else the pod.
 */
export function resourceAttributes(pod: PodIdentity, own: Readonly<Record<string, string>>): KeyValue[] {
  const service = pod.labels["app.kubernetes.io/name"] ?? pod.labels["app"] ?? pod.name ?? "unknown_service";
  const attributes: Record<string, string | undefined> = {
    "service.name": service,
    "k8s.namespace.name": pod.namespace,
    "k8s.pod.name": pod.name,
    "k8s.pod.uid": pod.uid,
    "k8s.pod.ip": pod.ip,
    "k8s.node.name": pod.node,
  };
  for (const [key, value] of Object.entries(pod.labels)) attributes[`k8s.pod.label.${key}`] = value;
  return keyValues(Object.entries({ ...attributes, ...own }));
}
