/** `grpc.health.v1.Health/Check` as the kubelet asks it (pkg/probe/grpc): one call over HTTP/2 without TLS. */
import type { ClientHttp2Session, IncomingHttpHeaders } from "node:http2";
import type { Duplex } from "node:stream";
import type { Clock } from "../../../kernel/clock.ts";
import { messageOf } from "../../../kernel/problem.ts";
import { sleep } from "../../../lib/sleep.ts";
import type { Sandbox } from "../../sandbox/sandbox.ts";
import { dial, hostPort, type DialTarget } from "./dial.ts";

export interface GrpcCheck {
  readonly target: DialTarget;
  /** Empty = the server as a whole. */
  readonly service: string;
  /** As texts name it, such as `1s`. */
  readonly timeout: string;
}

export interface GrpcContext {
  readonly sandbox: Pick<Sandbox, "connect">;
  readonly clock: Clock;
}

/** `undefined` = healthy; else why not, in the kubelet's words. Never rejects. */
export async function checkGrpcHealth(
  { sandbox, clock }: GrpcContext,
  check: GrpcCheck,
  signal: AbortSignal,
): Promise<string | undefined> {
  let socket: Duplex;
  try {
    socket = await dialUntil({ sandbox, clock }, check.target, signal);
  } catch (error) {
    const address = JSON.stringify(hostPort(check.target));
    if (signal.aborted)
      return `timeout: failed to connect service ${address} within ${check.timeout}: context deadline exceeded`;
    return `error: failed to connect service at ${address}: ${messageOf(error)}`;
  }
  try {
    return describe(await call(socket, check, signal));
  } catch (error) {
    if (signal.aborted) return `timeout: health rpc did not complete within ${check.timeout}`;
    const status = `rpc error: code = Unavailable desc = ${messageOf(error)}`;
    return `error: health rpc probe failed: ${status}`;
  } finally {
    socket.destroy();
  }
}

/** Delays of gRPC's connection back-off. */
const FIRST_RETRY_MS = 1000;
const RETRY_FACTOR = 1.6;

/** The kubelet's client blocks until it is connected: a port that refuses now may listen in a moment. */
async function dialUntil(
  { sandbox, clock }: GrpcContext,
  target: DialTarget,
  signal: AbortSignal,
): Promise<Duplex> {
  for (let waitMs = FIRST_RETRY_MS; ; waitMs *= RETRY_FACTOR) {
    try {
      return await dial(sandbox, target, signal);
    } catch {
      // Whatever it was, only the end of the time counts.
      signal.throwIfAborted();
      await sleep(waitMs, clock, signal);
      signal.throwIfAborted();
    }
  }
}

interface Answer {
  /** Status code of gRPC; 0 = OK. */
  readonly code: number;
  readonly message: string;
  /** `HealthCheckResponse.status`. */
  readonly serving: number;
}

const UNIMPLEMENTED = 12;
const SERVING = 1;
/** `codes.Code.String()`. */
const CODES = [
  "OK",
  "Canceled",
  "Unknown",
  "InvalidArgument",
  "DeadlineExceeded",
  "NotFound",
  "AlreadyExists",
  "PermissionDenied",
  "ResourceExhausted",
  "FailedPrecondition",
  "Aborted",
  "OutOfRange",
  "Unimplemented",
  "Internal",
  "Unavailable",
  "DataLoss",
  "Unauthenticated",
];
const SERVING_STATUS = ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"];

function describe({ code, message, serving }: Answer): string | undefined {
  if (code === UNIMPLEMENTED)
    return `error: this server does not implement the grpc health protocol (grpc.health.v1.Health): ${message}`;
  if (code !== 0) {
    const name = CODES[code] ?? `Code(${code})`;
    return `error: health rpc probe failed: rpc error: code = ${name} desc = ${message}`;
  }
  if (serving === SERVING) return undefined;
  return `service unhealthy (responded with ${JSON.stringify(SERVING_STATUS[serving] ?? String(serving))})`;
}

/** An answer to this call is a few bytes; a server that sends more is not heard to the end. */
const MESSAGE_BYTES = 64 * 1024;

async function call(socket: Duplex, check: GrpcCheck, signal: AbortSignal): Promise<Answer> {
  // Loaded only by those who have such a probe.
  const { connect } = await import("node:http2");
  const session = connect(`http://${hostPort(check.target)}`, { createConnection: () => socket });
  try {
    return await Promise.race([request(session, check, signal), endOf(socket)]);
  } finally {
    session.destroy();
  }
}

/** Rejects when the connection is over: the session does not always notice, if the other side does not speak HTTP/2. */
function endOf(socket: Duplex): Promise<never> {
  const { promise, reject } = Promise.withResolvers<never>();
  // Behind what the session makes of the last bytes.
  const onEnd = (): void => void setImmediate(() => reject(new Error("connection closed by the server")));
  for (const event of ["end", "close", "error"]) socket.once(event, onEnd);
  return promise;
}

function request(session: ClientHttp2Session, { service }: GrpcCheck, signal: AbortSignal): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const onAbort = (): void => reject(signal.reason);
  if (signal.aborted) onAbort();
  signal.addEventListener("abort", onAbort, { once: true });
  session.on("error", reject);
  const stream = session.request({
    ":method": "POST",
    ":path": "/grpc.health.v1.Health/Check",
    "content-type": "application/grpc",
    te: "trailers",
    "user-agent": "kube-probe/1.36",
  });
  const body: Buffer[] = [];
  let bytes = 0;
  let ending: IncomingHttpHeaders = {};
  stream.on("response", (headers) => {
    ending = headers;
    const status = headers[":status"];
    if (status !== 200) reject(new Error(`unexpected HTTP status code received from server: ${status}`));
  });
  stream.on("trailers", (trailers) => (ending = { ...ending, ...trailers }));
  stream.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes <= MESSAGE_BYTES) body.push(chunk);
    else reject(new Error(`grpc: received message larger than max (${bytes} vs. ${MESSAGE_BYTES})`));
  });
  stream.on("error", reject);
  stream.on("close", () => {
    const code = ending["grpc-status"];
    if (code === undefined) reject(new Error("server closed the stream without sending trailers"));
    else
      resolve({
        code: Number(code),
        message: decodeURIComponentLeniently([ending["grpc-message"] ?? ""].flat().join(" ")),
        serving: servingOf(Buffer.concat(body)),
      });
  });
  stream.end(requestMessage(service));
  return promise.finally(() => signal.removeEventListener("abort", onAbort));
}

/** `HealthCheckRequest{service = 1}` in a frame of gRPC: not compressed, four bytes of length. */
function requestMessage(service: string): Buffer {
  const text = Buffer.from(service);
  const fields =
    text.length === 0 ? text : Buffer.concat([Buffer.from([0x0a, ...varint(text.length)]), text]);
  const head = Buffer.alloc(5);
  head.writeUInt32BE(fields.length, 1);
  return Buffer.concat([head, fields]);
}

function varint(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...varint(value >>> 7)];
}

/** `status` (field 1) of a `HealthCheckResponse`; the last one counts, absent = UNKNOWN. Other fields are unknown to us. */
function servingOf(frame: Buffer): number {
  const message = frame.subarray(5, 5 + (frame.length >= 5 ? frame.readUInt32BE(1) : 0));
  let serving = 0;
  for (let at = 0; at + 1 < message.length && message[at] === 0x08;) {
    serving = 0;
    let shift = 0;
    let byte: number;
    do {
      at++;
      byte = message[at] ?? 0;
      serving += (byte & 0x7f) * 2 ** shift;
      shift += 7;
    } while (byte >= 0x80 && at < message.length);
    at++;
  }
  return serving;
}

/** `grpc-message` is percent-encoded; one that is not is shown as it is. */
function decodeURIComponentLeniently(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
