/**
 * A Loki that keeps to its published push API: "Loki HTTP API", `POST /loki/api/v1/push`; refusals and their texts as in Loki's
 * pkg/validation/validate.go, pkg/ingester/stream.go, pkg/ingester/instance.go and pkg/util/errors.go (3.x).
 */
import { z } from "zod";
import {
  type ReceivedRequest,
  type Reply,
  ScriptedServer,
  type ScriptedServerOptions,
} from "./scripted-server.ts";

export interface FakeLokiOptions extends Omit<ScriptedServerOptions, "answer"> {
  /** Asks for this tenant, as with `auth_enabled: true`. */
  readonly tenant?: string;
  /** `reject_old_samples`: entries before it are too old. Nanoseconds. */
  readonly oldest?: bigint;
  /** Entries behind it are too new. Nanoseconds. */
  readonly newest?: bigint;
  /** Half of `max-chunk-age`: how far an entry may be behind the newest of its stream. Nanoseconds. @default {1 hour} */
  readonly window?: bigint;
  /** `max_line_size`. @default {262144} */
  readonly maxLine?: number;
  /** Entries of one stream that an error lists. @default {10} */
  readonly maxReturnedErrors?: number;
}

export interface StoredEntry {
  readonly nanos: bigint;
  readonly line: string;
  readonly metadata: Readonly<Record<string, string>>;
}

const Label = z.record(z.string().regex(/^[a-zA-Z_][a-zA-Z0-9_]*$/), z.string().min(1));
const Value = z.union([
  z.tuple([z.string().regex(/^-?\d+$/), z.string()]),
  z.tuple([z.string().regex(/^-?\d+$/), z.string(), z.record(z.string(), z.string())]),
]);
const Push = z.strictObject({
  streams: z.array(z.strictObject({ stream: Label, values: z.array(Value) })),
});
type Stream = z.output<typeof Push>["streams"][number];

const HOUR = 3_600_000_000_000n;

export class FakeLoki implements AsyncDisposable {
  readonly server: ScriptedServer;
  /** By the stream's labels in Loki's own form, oldest push first. */
  readonly #streams: Map<string, StoredEntry[]>;

  private constructor(server: ScriptedServer, streams: Map<string, StoredEntry[]>) {
    this.server = server;
    this.#streams = streams;
  }

  static async start(options: FakeLokiOptions = {}): Promise<FakeLoki> {
    const streams = new Map<string, StoredEntry[]>();
    const answer = (request: ReceivedRequest): Reply => push(request, options, streams);
    return new FakeLoki(await ScriptedServer.start({ ...options, answer }), streams);
  }

  /** What is stored, by labels such as `{app="a", pod="b"}`. */
  get entries(): Readonly<Record<string, readonly StoredEntry[]>> {
    return Object.fromEntries(this.#streams);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.server[Symbol.asyncDispose]();
  }
}

function push(
  request: ReceivedRequest,
  options: FakeLokiOptions,
  streams: Map<string, StoredEntry[]>,
): Reply {
  const { method, path, headers } = request;
  if (path !== "/loki/api/v1/push") return { status: 404, body: "404 page not found\n" };
  if (method !== "POST") return { status: 405 };
  if (options.tenant !== undefined && headers["x-scope-orgid"] !== options.tenant) {
    return { status: 401, body: "no org id\n" };
  }
  // pkg/loghttp/push/push.go: JSON with a charset is fine, everything else is taken for protobuf.
  if (!/^application\/json(;|$)/.test(headers["content-type"] ?? "")) {
    return { status: 400, body: "snappy: corrupt input\n" };
  }
  if (!["", "gzip", "deflate"].includes(headers["content-encoding"] ?? "")) {
    return { status: 400, body: `Content-Encoding "${headers["content-encoding"]}" not supported\n` };
  }
  const parsed = Push.safeParse(parse(request.body));
  if (!parsed.success) return { status: 400, body: `couldn't parse push request: ${parsed.error.message}\n` };
  const invalid: string[] = [];
  // Only what the last stream says is told (instance.Push).
  let ignored: string | undefined;
  for (const stream of parsed.data.streams) {
    if (Object.keys(stream.stream).length === 0) {
      return { status: 400, body: "error at least one label pair is required per stream\n" };
    }
    ignored = ingest(validate(stream, options, invalid), options, streams);
  }
  if (ignored !== undefined) return { status: 400, body: `${ignored}\n` };
  return invalid.length === 0 ? { status: 204 } : { status: 400, body: `${joinErrors(invalid)}\n` };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The distributor: drops what no ingester may see, keeps the rest. */
function validate(stream: Stream, options: FakeLokiOptions, errors: string[]): Stream {
  const name = labelsText(stream.stream);
  const maxLine = options.maxLine ?? 262_144;
  const values = stream.values.filter(([text, line, metadata = {}]) => {
    const nanos = BigInt(text);
    const length = [line, ...Object.entries(metadata).flat()].reduce(
      (sum, part) => sum + Buffer.byteLength(part),
      0,
    );
    if (options.oldest !== undefined && nanos < options.oldest) {
      errors.push(
        `entry for stream '${name}' has timestamp too old: ${seconds(nanos)}, oldest acceptable timestamp is: ${seconds(options.oldest)}`,
      );
    } else if (options.newest !== undefined && nanos > options.newest) {
      errors.push(`entry for stream '${name}' has timestamp too new: ${seconds(nanos)}`);
    } else if (length > maxLine) {
      errors.push(
        `max entry size '${maxLine}' bytes exceeded for stream '${name}' while adding an entry with length '${length}' bytes`,
      );
    } else return true;
    return false;
  });
  return { stream: stream.stream, values };
}

/** The ingester: stores what is not too far behind, says what it ignored. */
function ingest(
  { stream, values }: Stream,
  options: FakeLokiOptions,
  streams: Map<string, StoredEntry[]>,
): string | undefined {
  const name = labelsText(stream);
  const stored = streams.get(name) ?? [];
  streams.set(name, stored);
  const window = options.window ?? HOUR;
  let newest = stored.reduce<bigint | undefined>(
    (most, { nanos }) => (most !== undefined && most > nanos ? most : nanos),
    undefined,
  );
  const ignored: string[] = [];
  for (const [text, line, metadata = {}] of values) {
    const nanos = BigInt(text);
    if (newest !== undefined && nanos < newest - window) {
      const reason = `entry too far behind, entry timestamp is: ${seconds(nanos)}, oldest acceptable timestamp is: ${seconds(newest - window)}`;
      ignored.push(`entry with timestamp ${goTime(nanos)} ignored, reason: '${reason}',`);
      continue;
    }
    if (newest === undefined || nanos > newest) newest = nanos;
    if (!stored.some((entry) => entry.nanos === nanos && entry.line === line))
      stored.push({ nanos, line, metadata });
  }
  if (ignored.length === 0) return undefined;
  const listed = ignored.slice(0, options.maxReturnedErrors ?? 10).join("\n");
  return `${listed}\nuser 'fake', total ignored: ${ignored.length} out of ${values.length} for stream: ${name}`;
}

/** `MultiError.Error()` */
function joinErrors(errors: readonly string[]): string {
  return `${errors.length > 1 ? `${errors.length} errors: ` : ""}${errors.join("; ")}`;
}

function labelsText(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return `{${pairs.map(([key, value]) => `${key}=${JSON.stringify(value)}`).join(", ")}}`;
}

/** RFC 3339 in whole seconds. */
function seconds(nanos: bigint): string {
  return `${new Date(Number(nanos / 1_000_000n)).toISOString().slice(0, 19)}Z`;
}

/** Go's `time.Time.String()`: trailing zeros of the fraction are left out. */
function goTime(nanos: bigint): string {
  const fraction = String(nanos % 1_000_000_000n)
    .padStart(9, "0")
    .replace(/0+$/, "");
  return `${seconds(nanos).slice(0, 19).replace("T", " ")}${fraction === "" ? "" : `.${fraction}`} +0000 UTC`;
}
