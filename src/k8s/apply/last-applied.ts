/** The annotation in which `kubectl apply` of old remembers what it has applied; kept true when kubectl applies on the server's side. */
import { isJsonObject, type JsonObject } from "../../lib/frozen-json.ts";
import type { KubeObject } from "../object.ts";

export const LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration";

/** Undefined when there is none that can be read. */
export function lastApplied({ metadata }: KubeObject): JsonObject | undefined {
  const text = metadata.annotations?.[LAST_APPLIED];
  if (text === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return isJsonObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** Brings an annotation that is there up to date (`lastAppliedUpdater`); adds none. */
export function withLastApplied(object: KubeObject, config: JsonObject): KubeObject {
  const before = lastApplied(object);
  if (before === undefined) return object;
  const said = withoutAnnotation(config);
  if (Bun.deepEquals(withoutAnnotation(before), said)) return object;
  const annotations = { ...object.metadata.annotations, [LAST_APPLIED]: `${JSON.stringify(said)}\n` };
  return { ...object, metadata: { ...object.metadata, annotations } };
}

function withoutAnnotation(config: JsonObject): JsonObject {
  const { metadata } = config;
  if (!isJsonObject(metadata) || !isJsonObject(metadata["annotations"])) return config;
  const { [LAST_APPLIED]: _, ...annotations } = metadata["annotations"];
  return { ...config, metadata: { ...metadata, annotations } };
}
