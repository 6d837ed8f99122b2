/** JSON values that can be handed to everybody: deeply frozen, and sharing what is equal with an earlier value. */

export type JsonObject = { readonly [key: string]: unknown };

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * A deeply frozen copy of `value` as JSON would carry it: `undefined` fields are left out, `NaN` becomes null, `toJSON` is
 * honoured. Every part that equals the corresponding part of `previous` (itself a result of this function) *is* that part, so
 * `frozenJson(x, previous) === previous` means "nothing changed", and versions of one object share memory.
 */
export function frozenJson<T>(value: T, previous?: unknown): T {
  return freeze(value, previous) as T;
}

function freeze(value: unknown, previous: unknown): unknown {
  if (value === null) return value;
  if (value === previous) return previous;
  if (Array.isArray(value)) return freezeArray(value, previous);
  if (typeof value === "object") {
    return hasToJson(value) ? freeze(value.toJSON(), previous) : freezeObject(value, previous);
  }
  if (typeof value === "number") return Number.isFinite(value) ? value + 0 : null; // -0 is 0 in JSON
  if (typeof value === "bigint") throw new TypeError("Cannot keep a BigInt: JSON has no such value");
  return typeof value === "string" || typeof value === "boolean" ? value : undefined;
}

function hasToJson(value: object): value is { toJSON(): unknown } {
  return "toJSON" in value && typeof value.toJSON === "function";
}

function freezeArray(value: readonly unknown[], previous: unknown): readonly unknown[] {
  const before: readonly unknown[] | undefined = Array.isArray(previous) ? previous : undefined;
  let same = before !== undefined && before.length === value.length;
  const copy = value.map((item, index) => {
    const frozen = freeze(item, before?.[index]) ?? null;
    if (same && frozen !== before?.[index]) same = false;
    return frozen;
  });
  return same && before !== undefined ? before : Object.freeze(copy);
}

function freezeObject(value: object, previous: unknown): JsonObject {
  const before = isJsonObject(previous) ? previous : undefined;
  const copy: Record<string, unknown> = {};
  let same = before !== undefined;
  let size = 0;
  for (const [key, item] of Object.entries(value)) {
    const earlier = before !== undefined && Object.hasOwn(before, key) ? before[key] : undefined;
    const frozen = freeze(item, earlier);
    if (frozen === undefined) continue;
    size += 1;
    if (frozen !== earlier) same = false;
    // A plain assignment to "__proto__", a legal ConfigMap key, would set the prototype instead.
    if (key === "__proto__") Object.defineProperty(copy, key, { value: frozen, enumerable: true });
    else copy[key] = frozen;
  }
  if (same && before !== undefined && Object.keys(before).length === size) return before;
  return Object.freeze(copy);
}
