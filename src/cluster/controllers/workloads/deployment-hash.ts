/** Names for pod templates: equal templates have equal ones, and a change shows (`ComputeHash`). */
import type { PodTemplateSpec } from "../../../../generated/kubernetes.ts";
import { isJsonObject } from "../../../lib/frozen-json.ts";

/** No vowels, nothing that looks alike (apimachinery `util/rand.SafeEncodeString`). */
const ALPHABET = "bcdfghjklmnpqrstvwxz2456789";
const FNV_OFFSET = 0x811c9dc5;
const FNV_PRIME = 0x01000193;

/**
 * FNV-32a as on a real cluster, but over JSON with sorted keys where Kubernetes takes Go's dump of its structs: no two
 * clusters share these names. `collisionCount` makes another name where one is taken.
 */
export function templateHash(template: PodTemplateSpec, collisionCount = 0): string {
  const text = canonicalJson(template) + (collisionCount > 0 ? `#${collisionCount}` : "");
  return Array.from(String(fnv32a(text)), (digit) => ALPHABET[digit.charCodeAt(0) % ALPHABET.length]).join(
    "",
  );
}

/** Fowler, Noll, Vo: 32 bits, variant a, over the UTF-8 of `text`. */
export function fnv32a(text: string): number {
  let hash = FNV_OFFSET;
  for (const byte of Buffer.from(text)) hash = Math.imul(hash ^ byte, FNV_PRIME);
  return hash >>> 0;
}

function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    isJsonObject(inner)
      ? Object.fromEntries(Object.entries(inner).toSorted(([a], [b]) => (a < b ? -1 : Number(a > b))))
      : inner,
  );
}
