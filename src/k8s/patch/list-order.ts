/** In which order a merged list ends up: that of the patch, with the server's own items where they stood. */

export type KeyOf = (item: unknown) => unknown;

function positions(list: readonly unknown[], keyOf: KeyOf): Map<unknown, number> {
  const found = new Map<unknown, number>();
  for (const [index, item] of list.entries()) {
    const key = keyOf(item);
    if (!found.has(key)) found.set(key, index);
  }
  return found;
}

function sortBy(items: readonly unknown[], order: ReadonlyMap<unknown, number>, keyOf: KeyOf): unknown[] {
  const last = Number.MAX_SAFE_INTEGER;
  return items.toSorted((a, b) => (order.get(keyOf(a)) ?? last) - (order.get(keyOf(b)) ?? last));
}

export interface ListOrder {
  /** The order that the patch wants for its items. */
  readonly wanted: readonly unknown[];
  /** The list as it was on the server. */
  readonly before: readonly unknown[];
  readonly keyOf: KeyOf;
}

/**
 * strategicpatch `normalizeElementOrder`: wanted items keep the wanted order, all others the order they had; one of
 * the others goes before the first wanted item that stood behind it.
 */
export function orderItems(items: readonly unknown[], { wanted, before, keyOf }: ListOrder): unknown[] {
  const [wantedAt, beforeAt] = [positions(wanted, keyOf), positions(before, keyOf)];
  const ours = sortBy(
    items.filter((item) => wantedAt.has(keyOf(item))),
    wantedAt,
    keyOf,
  );
  const theirs = sortBy(
    items.filter((item) => !wantedAt.has(keyOf(item))),
    beforeAt,
    keyOf,
  );
  const result: unknown[] = [];
  let next = 0;
  for (const item of ours) {
    const at = beforeAt.get(keyOf(item)) ?? -1;
    while (next < theirs.length && (beforeAt.get(keyOf(theirs[next])) ?? at) < at) {
      result.push(theirs[next]);
      next += 1;
    }
    result.push(item);
  }
  return [...result, ...theirs.slice(next)];
}
