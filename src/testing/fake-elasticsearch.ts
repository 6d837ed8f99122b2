/**
 * An Elasticsearch that keeps to its published bulk API: Elasticsearch reference, "Bulk API" (8.x) and "Data streams"
 * (documents need `@timestamp`, only `create` is taken). OpenSearch answers alike.
 */
import { z } from "zod";
import {
  type ReceivedRequest,
  type Reply,
  ScriptedServer,
  type ScriptedServerOptions,
} from "./scripted-server.ts";

export interface ItemFault {
  readonly status: number;
  readonly type: string;
  readonly reason: string;
}

export type StoredDocument = Readonly<Record<string, unknown>>;

export interface FakeElasticsearchOptions extends Omit<ScriptedServerOptions, "answer"> {
  /** The `authorization` header that it asks for. */
  readonly authorization?: string;
  /** What one document gets instead of being stored; asked again whenever it is sent. */
  readonly refuse?: (document: StoredDocument, index: string) => ItemFault | undefined;
}

const Action = z.strictObject({
  create: z.strictObject({ _index: z.string().min(1), _id: z.string().min(1).max(512) }),
});
const Doc = z.record(z.string(), z.unknown());

interface Item {
  readonly _index: string;
  readonly _id: string;
  readonly status: number;
  readonly error?: { readonly type: string; readonly reason: string };
}

export class FakeElasticsearch implements AsyncDisposable {
  readonly server: ScriptedServer;
  readonly #indexes: ReadonlyMap<string, ReadonlyMap<string, StoredDocument>>;

  private constructor(
    server: ScriptedServer,
    indexes: ReadonlyMap<string, ReadonlyMap<string, StoredDocument>>,
  ) {
    this.server = server;
    this.#indexes = indexes;
  }

  static async start(options: FakeElasticsearchOptions = {}): Promise<FakeElasticsearch> {
    const indexes = new Map<string, Map<string, StoredDocument>>();
    const answer = (request: ReceivedRequest): Reply => bulk(request, options, indexes);
    return new FakeElasticsearch(await ScriptedServer.start({ ...options, answer }), indexes);
  }

  /** Documents by index, in the order in which they were stored. */
  get documents(): Readonly<Record<string, readonly StoredDocument[]>> {
    return Object.fromEntries(
      [...this.#indexes].map(([index, documents]) => [index, [...documents.values()]]),
    );
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.server[Symbol.asyncDispose]();
  }
}

function bulk(
  request: ReceivedRequest,
  options: FakeElasticsearchOptions,
  indexes: Map<string, Map<string, StoredDocument>>,
): Reply {
  const { method, path, headers, body } = request;
  if (options.authorization !== undefined && headers["authorization"] !== options.authorization) {
    return failure(401, "security_exception", "missing authentication credentials for REST request");
  }
  if (path !== "/_bulk" || method !== "POST")
    return failure(405, "illegal_argument_exception", "Incorrect HTTP method");
  if (headers["content-type"] !== "application/x-ndjson") {
    return failure(406, "media_type_header_exception", "Content-Type header is not supported");
  }
  if (!["", "gzip"].includes(headers["content-encoding"] ?? ""))
    return failure(400, "parse_exception", "not JSON");
  if (!body.endsWith("\n")) {
    return failure(
      400,
      "illegal_argument_exception",
      "The bulk request must be terminated by a newline [\\n]",
    );
  }
  const lines = body.slice(0, -1).split("\n");
  const items: Item[] = [];
  for (let at = 0; at < lines.length; at += 2) {
    const action = Action.safeParse(parse(lines[at] ?? ""));
    if (!action.success) {
      return failure(400, "illegal_argument_exception", `Malformed action/metadata line [${at + 1}]`);
    }
    items.push(create(action.data.create, lines[at + 1] ?? "", { options, indexes }));
  }
  const errors = items.some(({ error }) => error !== undefined);
  const answer = { took: 1, errors, items: items.map((item) => ({ create: item })) };
  return json(200, filtered(answer, request.query.get("filter_path")));
}

interface Store {
  readonly options: FakeElasticsearchOptions;
  readonly indexes: Map<string, Map<string, StoredDocument>>;
}

function create(
  { _index, _id }: { readonly _index: string; readonly _id: string },
  line: string,
  { options, indexes }: Store,
): Item {
  const refuse = ({ status, type, reason }: ItemFault): Item => ({
    _index,
    _id,
    status,
    error: { type, reason },
  });
  const document = Doc.safeParse(parse(line));
  if (!document.success)
    return refuse({ status: 400, type: "document_parsing_exception", reason: "failed to parse" });
  // The built-in templates make data streams of such names.
  if (/^logs-.+-.+$/.test(_index) && document.data["@timestamp"] === undefined) {
    const reason = "data stream timestamp field [@timestamp] is missing";
    return refuse({ status: 400, type: "document_parsing_exception", reason });
  }
  const documents = indexes.get(_index) ?? new Map<string, StoredDocument>();
  indexes.set(_index, documents);
  if (documents.has(_id)) {
    const reason = `[${_id}]: version conflict, document already exists (current version [1])`;
    return refuse({ status: 409, type: "version_conflict_engine_exception", reason });
  }
  const fault = options.refuse?.(document.data, _index);
  if (fault !== undefined) return refuse(fault);
  documents.set(_id, document.data);
  return { _index, _id, status: 201 };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** "Common options", response filtering: of its many forms the one that Pillion asks with. */
function filtered(
  answer: { readonly items: readonly { readonly create: Item }[]; readonly errors: boolean },
  filter: string | null,
): unknown {
  if (filter === null) return answer;
  const wants = new Set(filter.split(","));
  const items = answer.items.map(({ create: { status, error } }) => ({
    create: {
      ...(wants.has("items.*.status") ? { status } : {}),
      ...(error !== undefined && wants.has("items.*.error.type")
        ? {
            error: {
              type: error.type,
              ...(wants.has("items.*.error.reason") ? { reason: error.reason } : {}),
            },
          }
        : {}),
    },
  }));
  return { ...(wants.has("errors") ? { errors: answer.errors } : {}), items };
}

function failure(status: number, type: string, reason: string): Reply {
  return json(status, { error: { root_cause: [{ type, reason }], type, reason }, status });
}

function json(status: number, value: unknown): Reply {
  return { status, headers: { "content-type": "application/json" }, body: JSON.stringify(value) };
}
