/** A registry in this process that misbehaves on request: wrong content, broken connections, challenges, redirects. */
import { createServer } from "node:http";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { BuiltImage } from "./image-builder.ts";

export interface FakeRequest {
  readonly method: string;
  /** Path and query. */
  readonly path: string;
  readonly headers: IncomingMessage["headers"];
}

export interface FakeRegistry extends AsyncDisposable {
  /** `127.0.0.1:PORT` */
  readonly host: string;
  readonly origin: string;
  readonly requests: readonly FakeRequest[];
  /** `METHOD path` of every request; blobs and manifests by the first 12 digits of their digest. */
  log(): readonly string[];
  /** Requests that have no whole answer yet. */
  open(): number;
}

export interface FakeRegistryOptions {
  /** By `repository:tag`. */
  readonly images?: Readonly<Record<string, BuiltImage>>;
  /** True when it has answered, or will. */
  readonly intercept?: (request: FakeRequest, response: ServerResponse) => boolean;
}

export async function startFakeRegistry({
  images = {},
  intercept,
}: FakeRegistryOptions): Promise<FakeRegistry> {
  const requests: FakeRequest[] = [];
  let openCount = 0;
  const server = createServer((incoming, response) => {
    const request = { method: incoming.method ?? "", path: incoming.url ?? "", headers: incoming.headers };
    requests.push(request);
    openCount += 1;
    response.on("close", () => {
      openCount -= 1;
    });
    if (intercept?.(request, response) === true) return;
    answer(request, response, images);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    host: `127.0.0.1:${port}`,
    origin: `http://127.0.0.1:${port}`,
    requests,
    open: () => openCount,
    log: () =>
      requests.map(
        ({ method, path }) => `${method} ${path.replaceAll(/sha256:([0-9a-f]{12})[0-9a-f]{52}/g, "$1")}`,
      ),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Answers as a registry does; for intercepts that change only something. */
export function answer(
  { method, path, headers }: FakeRequest,
  response: ServerResponse,
  images: Readonly<Record<string, BuiltImage>>,
): void {
  const [, repository, kind, reference] = /^\/v2\/(.+)\/(manifests|blobs)\/([^/?]+)/.exec(path) ?? [];
  const known = Object.entries(images).filter(([name]) => name.startsWith(`${repository}:`));
  if (kind === "manifests") {
    const documents = known.flatMap(([name, image]) => [
      [name, image] as const,
      ...[image, ...image.manifests.values()].map((one) => [`${repository}:${one.digest}`, one] as const),
    ]);
    const image = documents.find(([name]) => name === `${repository}:${reference}`)?.[1];
    if (image !== undefined) {
      response.writeHead(200, {
        "content-type": image.mediaType,
        "docker-content-digest": image.digest,
        "content-length": image.document.length,
      });
      response.end(method === "HEAD" ? undefined : image.document);
      return;
    }
  }
  const blob = known
    .map(([, image]) => image.blobs.get(reference ?? ""))
    .find((found) => found !== undefined);
  if (kind === "blobs" && blob !== undefined) {
    sendBlob(blob, response, headers.range);
    return;
  }
  response.writeHead(404, { "content-type": "application/json" });
  response.end(JSON.stringify({ errors: [{ code: "MANIFEST_UNKNOWN", message: "manifest unknown" }] }));
}

function sendBlob(blob: Uint8Array, response: ServerResponse, range: string | undefined): void {
  const start = Number(/^bytes=(\d+)-$/.exec(range ?? "")?.[1] ?? 0);
  const part = blob.subarray(start);
  const headers = { "content-length": part.length, "content-type": "application/octet-stream" };
  if (range === undefined) response.writeHead(200, headers);
  else
    response.writeHead(206, {
      ...headers,
      "content-range": `bytes ${start}-${blob.length - 1}/${blob.length}`,
    });
  response.end(part);
}
