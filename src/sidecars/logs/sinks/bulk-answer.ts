/** Reads the answer to a `_bulk` request: one status per document, in their order (Elasticsearch reference, "Bulk API"). */
import { z } from "zod";
import { Problem } from "../../../kernel/problem.ts";
import { shorten } from "./http-sender.ts";
import type { Outcome, Refusal } from "./sink.ts";

const Item = z.object({
  status: z.int(),
  error: z.object({ type: z.string().optional(), reason: z.string().nullish() }).optional(),
});
const Answer = z.object({ errors: z.boolean(), items: z.array(z.record(z.string(), Item)) });

/** Statuses that say nothing about the document: overload, missing rights, a blocked or missing index. */
const RETRYABLE: ReadonlySet<number> = new Set([401, 403, 404, 408, 429]);
/** Errors of the index or the configuration that come with 400. */
const CONFIGURATION_ERRORS: ReadonlySet<string> = new Set([
  "cluster_block_exception",
  "index_closed_exception",
  "invalid_index_name_exception",
]);
/** The document is there already: an earlier try arrived. */
const CONFLICT = 409;

/** Undefined for what is no such answer, or one for another number of documents. */
export function readBulkAnswer(text: string, count: number): Outcome | undefined {
  const answer = Answer.safeParse(parse(text));
  if (!answer.success || answer.data.items.length !== count) return undefined;
  const refusals: Refusal[] = [];
  for (const [index, item] of answer.data.items.entries()) {
    const result = Object.values(item)[0];
    if (result === undefined) return undefined;
    const { status, error } = result;
    if ((status >= 200 && status < 300) || status === CONFLICT) continue;
    const isRetryable = RETRYABLE.has(status) || status >= 500 || CONFIGURATION_ERRORS.has(error?.type ?? "");
    refusals.push({ index, isRetryable, reason: reasonOf(status, error) });
  }
  const isAll = refusals.length === count && refusals.every(({ isRetryable }) => isRetryable);
  return isAll && count > 0
    ? { kind: "unavailable", because: allRefused(answer.data.items) }
    : { kind: "answered", refusals };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

type ItemError = z.output<typeof Item>["error"];

function reasonOf(status: number, error: ItemError): string {
  return shorten(
    [`HTTP ${status}`, error?.type, error?.reason].filter((part) => typeof part === "string").join(": "),
  );
}

/** Says the type of the error, which is a constant, and not its reason, which may quote the document. */
function allRefused(items: readonly z.output<typeof Answer>["items"][number][]): Problem {
  const first = Object.values(items[0] ?? {})[0];
  const type = shorten(first?.error?.type ?? `HTTP ${first?.status}`);
  return new Problem({
    code: "E_SINK_INDEX",
    message: `Cannot store documents in Elasticsearch: every one was put off with "${type}"`,
    fix: "Look at the index, its data stream or template, the disk's watermarks, and what the user may do",
  });
}
