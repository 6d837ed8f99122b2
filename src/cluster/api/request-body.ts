/** Reads a request's body without ever holding more of it than the limit. */
import type { IncomingMessage } from "node:http";
import { StatusError } from "../../k8s/status-error.ts";

/** `MaxRequestBodyBytes` of the real API server: 3 MiB. */
export const MAX_BODY_BYTES = 3 * 1024 * 1024;

/** `RequestEntityTooLarge` as soon as the limit is passed; the rest is left unread. */
export async function readBody(request: IncomingMessage): Promise<Uint8Array> {
  const encoding = request.headers["content-encoding"];
  if (encoding !== undefined && encoding !== "identity") {
    throw new StatusError(
      "UnsupportedMediaType",
      `the request body is encoded as "${encoding}", which is not supported`,
    );
  }
  if (Number(request.headers["content-length"] ?? 0) > MAX_BODY_BYTES) throw tooLarge();
  const chunks: Buffer[] = [];
  let size = 0;
  return await new Promise<Uint8Array>((resolve, reject) => {
    request.on("data", (chunk: Buffer) => {
      size += chunk.length;
      if (size > MAX_BODY_BYTES) {
        request.pause();
        request.removeAllListeners("data");
        chunks.length = 0;
        reject(tooLarge());
        return;
      }
      chunks.push(chunk);
    });
    request.once("end", () =>
      resolve(chunks.length === 1 ? (chunks[0] ?? Buffer.alloc(0)) : Buffer.concat(chunks)),
    );
    request.once("error", reject);
    request.once("close", () => reject(new StatusError("BadRequest", "unexpected EOF")));
  });
}

function tooLarge(): StatusError {
  return new StatusError("RequestEntityTooLarge", `Request entity too large: limit is ${MAX_BODY_BYTES}`);
}

/** What a refused client may still send before the connection is cut: its kernel then delivers our answer to it. */
const LINGER_MS = 500;

/** Throws away what still comes, and then the connection, so that the client reads the answer and not a reset. */
export function discardRest(request: IncomingMessage): void {
  request.removeAllListeners("data");
  request.on("data", () => {});
  request.on("error", () => {});
  request.resume();
  const timer = setTimeout(() => request.socket.destroy(), LINGER_MS);
  request.once("end", () => clearTimeout(timer));
}
