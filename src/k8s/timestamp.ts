/** `metav1.Time` on the wire: RFC 3339 in UTC with whole seconds. */

/** `2026-11-03T08:15:00Z` for milliseconds since the epoch; fractions of a second are cut off. */
export function formatTimestamp(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}
