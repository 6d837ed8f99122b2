/**
 * Receives records and counts them; a process of its own, so that its work is not counted. Over HTTP it acknowledges NDJSON and
 * Elasticsearch's `_bulk`, over TCP it only counts lines. Prints both ports; `GET /count` says how many records came.
 */
import { gunzipSync, zstdDecompressSync } from "node:zlib";

const NEWLINE = 10;
let records = 0;
let bytes = 0;

function decoded(body: Uint8Array, encoding: string | null): Uint8Array {
  if (encoding === "gzip") return gunzipSync(body);
  return encoding === "zstd" ? zstdDecompressSync(body) : body;
}

function countLines(body: Uint8Array): number {
  let count = 0;
  for (let at = body.indexOf(NEWLINE); at !== -1; at = body.indexOf(NEWLINE, at + 1)) count++;
  return count;
}

const server = Bun.serve({
  port: 0,
  hostname: "127.0.0.1",
  maxRequestBodySize: 64 * 2 ** 20,
  async fetch(request) {
    const { pathname } = new URL(request.url);
    if (pathname === "/count") return Response.json({ records, bytes });
    if (request.method !== "POST") return Response.json({ version: { number: "8.0.0" } });
    const body = new Uint8Array(await request.arrayBuffer());
    const lines = countLines(decoded(body, request.headers.get("content-encoding")));
    const isBulk = pathname.endsWith("/_bulk");
    records += isBulk ? lines / 2 : lines;
    bytes += body.length;
    if (!isBulk) return new Response(null, { status: 204 });
    return Response.json({ took: 1, errors: false, items: [] });
  },
});

const listener = Bun.listen({
  port: 0,
  hostname: "127.0.0.1",
  socket: {
    data(_socket, part) {
      records += countLines(part);
      bytes += part.length;
    },
  },
});

console.log(`${server.port} ${listener.port}`);
