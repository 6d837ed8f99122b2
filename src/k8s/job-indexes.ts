/** The notation in which Jobs write down sets of completion indexes: `1,3-5,7`. */
import { goQuote } from "./go-format.ts";

/** Three or more in a row are a range (`orderedIntervals.String`). */
export function formatIndexes(indexes: Iterable<number>): string {
  const sorted = [...new Set(indexes)].toSorted((a, b) => a - b);
  const parts: string[] = [];
  for (let at = 0; at < sorted.length;) {
    const first = sorted[at] ?? 0;
    let length = 1;
    while (sorted[at + length] === first + length) length += 1;
    const last = first + length - 1;
    if (length === 1) parts.push(`${first}`);
    else parts.push(`${first}${length === 2 ? "," : "-"}${last}`);
    at += length;
  }
  return parts.join(",");
}

/** What a status holds; indexes that are too large by now are dropped, and so is what is no index (`parseIndexesFromString`). */
export function parseIndexes(text: string | undefined, completions: number): Set<number> {
  const indexes = new Set<number>();
  if (text === undefined || text === "") return indexes;
  for (const part of text.split(",")) {
    const [first, last = first, ...rest] = part.split("-").map(Number);
    if (first === undefined || last === undefined || rest.length > 0) continue;
    if (!Number.isInteger(first) || !Number.isInteger(last) || first < 0) continue;
    for (let index = first; index <= last && index < completions; index += 1) indexes.add(index);
  }
  return indexes;
}

export type CheckedIndexes =
  | { readonly ok: true; readonly total: number }
  | { readonly ok: false; readonly why: string };

/** For what users write, in upstream's words (`validateIndexesFormat`). */
export function checkIndexes(text: string, completions: number): CheckedIndexes {
  if (text === "") return { ok: true, total: 0 };
  let last: number | undefined;
  let total = 0;
  for (const part of text.split(",")) {
    const limits = part.split("-");
    if (limits.length > 2) {
      const why = `the fragment ${goQuote(part)} violates the requirement that an index interval can have at most two parts separated by '-'`;
      return { ok: false, why };
    }
    const numbers: number[] = [];
    for (const limit of limits) {
      const wrong = wrongIndex(limit, { last, completions });
      if (wrong !== undefined) return { ok: false, why: wrong };
      last = Number(limit);
      numbers.push(last);
    }
    const [from = 0, to = from] = numbers;
    total += to - from + 1;
  }
  return { ok: true, total };
}

function wrongIndex(
  text: string,
  { last, completions }: { readonly last: number | undefined; readonly completions: number },
): string | undefined {
  if (!/^[+-]?\d+$/.test(text)) return `cannot convert string to integer for index: ${goQuote(text)}`;
  const index = Number(text);
  if (index >= completions) return `too large index: ${goQuote(text)}`;
  if (last !== undefined && last >= index)
    return `non-increasing order, previous: ${last}, current: ${index}`;
  return undefined;
}
