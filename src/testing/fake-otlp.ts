/**
 * An OpenTelemetry receiver that keeps to the OTLP specification 1.x ("OTLP/HTTP", "JSON Protobuf Encoding") and to
 * opentelemetry-proto's logs.proto, common.proto and resource.proto.
 */
import { z } from "zod";
import {
  type ReceivedRequest,
  type Reply,
  ScriptedServer,
  type ScriptedServerOptions,
} from "./scripted-server.ts";

/** Protobuf's JSON: 64-bit integers as decimal text; names in lowerCamelCase. */
const Int64 = z.string().regex(/^-?\d{1,19}$/);
const Fixed64 = z.string().regex(/^\d{1,20}$/);

const AnyValue = z.union([
  z.strictObject({ stringValue: z.string() }),
  z.strictObject({ boolValue: z.boolean() }),
  z.strictObject({ intValue: Int64 }),
  z.strictObject({ doubleValue: z.number() }),
  z.strictObject({
    get arrayValue() {
      return z.strictObject({ values: z.array(AnyValue) });
    },
  }),
  z.strictObject({
    get kvlistValue() {
      return z.strictObject({ values: z.array(z.strictObject({ key: z.string().min(1), value: AnyValue })) });
    },
  }),
]);
const Attributes = z
  .array(z.strictObject({ key: z.string().min(1), value: AnyValue }))
  .refine(
    (list) => new Set(list.map(({ key }) => key)).size === list.length,
    "Keys of attributes MUST be unique",
  );

const OtlpRecord = z.strictObject({
  timeUnixNano: Fixed64,
  observedTimeUnixNano: Fixed64.optional(),
  severityNumber: z.int().min(1).max(24).optional(),
  severityText: z.string().optional(),
  body: AnyValue,
  attributes: Attributes,
});
const Request = z.strictObject({
  resourceLogs: z.array(
    z.strictObject({
      resource: z.strictObject({ attributes: Attributes }),
      scopeLogs: z.array(
        z.strictObject({ scope: z.strictObject({ name: z.string() }), logRecords: z.array(OtlpRecord) }),
      ),
    }),
  ),
});

export type ReceivedLogRecord = z.output<typeof OtlpRecord>;
export type ReceivedResource = z.output<typeof Attributes>;

export interface FakeOtlpOptions extends Omit<ScriptedServerOptions, "answer"> {
  /** Records that a request's answer reports as rejected, without saying which. */
  readonly reject?: (record: ReceivedLogRecord) => boolean;
}

export class FakeOtlp implements AsyncDisposable {
  readonly server: ScriptedServer;
  readonly records: readonly ReceivedLogRecord[];
  /** Of each request. */
  readonly resources: readonly ReceivedResource[];

  private constructor(
    server: ScriptedServer,
    records: readonly ReceivedLogRecord[],
    resources: readonly ReceivedResource[],
  ) {
    this.server = server;
    this.records = records;
    this.resources = resources;
  }

  static async start(options: FakeOtlpOptions = {}): Promise<FakeOtlp> {
    const records: ReceivedLogRecord[] = [];
    const resources: ReceivedResource[] = [];
    function answer({ method, path, headers, body }: ReceivedRequest): Reply {
      if (path !== "/v1/logs") return { status: 404, body: "404 page not found\n" };
      if (method !== "POST") return { status: 405 };
      if (headers["content-type"] !== "application/json") return { status: 415 };
      const request = Request.safeParse(parse(body));
      // "Bad Data": 400 with a Status message.
      if (!request.success) return json(400, { code: 3, message: request.error.message });
      let rejected = 0;
      for (const { resource, scopeLogs } of request.data.resourceLogs) {
        resources.push(resource.attributes);
        for (const record of scopeLogs.flatMap(({ logRecords }) => logRecords)) {
          if (options.reject?.(record) === true) rejected++;
          else records.push(record);
        }
      }
      if (rejected === 0) return json(200, {});
      return json(200, {
        partialSuccess: { rejectedLogRecords: String(rejected), errorMessage: "attribute not allowed" },
      });
    }
    return new FakeOtlp(await ScriptedServer.start({ ...options, answer }), records, resources);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.server[Symbol.asyncDispose]();
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function json(status: number, value: unknown): Reply {
  return { status, headers: { "content-type": "application/json" }, body: JSON.stringify(value) };
}
