/** A plain receiver of NDJSON for end-to-end tests: keeps which records arrived and how often, and fails when it is told to. */
import { type Reply, ScriptedServer, type ScriptedServerOptions } from "./scripted-server.ts";

export type ReceivedRecord = Readonly<Record<string, unknown>>;

export interface RecordSinkOptions extends Omit<ScriptedServerOptions, "answer"> {
  /** What tells one record from another. @default {its `message`} */
  readonly idOf?: (record: ReceivedRecord) => string;
}

interface Waiting {
  readonly records: number;
  readonly resolve: () => void;
}

export class RecordSink implements AsyncDisposable {
  readonly server: ScriptedServer;
  /** How often each record was acknowledged, in the order of their first arrival. */
  readonly counts: ReadonlyMap<string, number>;
  /** Sizes of the acknowledged batches, in records. */
  readonly batches: readonly number[];
  readonly #waiting: Set<Waiting>;

  private constructor(server: ScriptedServer, kept: Kept) {
    this.server = server;
    this.counts = kept.counts;
    this.batches = kept.batches;
    this.#waiting = kept.waiting;
  }

  /** Faults and outages are scripted at `server`. Give `port` to come back where an earlier one was. */
  static async start(options: RecordSinkOptions = {}): Promise<RecordSink> {
    const kept: Kept = { counts: new Map(), batches: [], waiting: new Set() };
    const idOf = options.idOf ?? ((record: ReceivedRecord) => String(record["message"]));
    const answer = ({ body }: { readonly body: string }): Reply => keep(body, idOf, kept);
    return new RecordSink(await ScriptedServer.start({ ...options, answer }), kept);
  }

  /** Records that arrived more than once. */
  get duplicates(): readonly string[] {
    return [...this.counts].filter(([, count]) => count > 1).map(([id]) => id);
  }

  /** Resolves when so many different records have been acknowledged. */
  async whenReceived(records: number): Promise<void> {
    if (this.counts.size >= records) return;
    await new Promise<void>((resolve) => this.#waiting.add({ records, resolve }));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.server[Symbol.asyncDispose]();
  }
}

interface Kept {
  readonly counts: Map<string, number>;
  readonly batches: number[];
  readonly waiting: Set<Waiting>;
}

/** A line that is no JSON object refuses the batch: nothing half written may come out of Pillion. */
function keep(
  body: string,
  idOf: (record: ReceivedRecord) => string,
  { counts, batches, waiting }: Kept,
): Reply {
  const lines = body.split("\n");
  if (lines.pop() !== "") return { status: 400, body: "the last line has no end" };
  let ids: string[];
  try {
    ids = lines.map((line) => idOf(JSON.parse(line) as ReceivedRecord));
  } catch {
    return { status: 400, body: "a line is no JSON" };
  }
  for (const id of ids) counts.set(id, (counts.get(id) ?? 0) + 1);
  batches.push(ids.length);
  for (const one of waiting) {
    if (counts.size < one.records) continue;
    waiting.delete(one);
    one.resolve();
  }
  return { status: 204 };
}
