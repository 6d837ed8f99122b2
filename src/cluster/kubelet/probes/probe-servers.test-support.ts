/** The program of a pod that probes are tested with: servers of every kind, good and bad. Imports nothing of ours: it is mounted alone. */
import { createServer as createHttp, type RequestListener } from "node:http";
import {
  createServer as createHttp2,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from "node:http2";
import { createServer as createHttps } from "node:https";
import { createServer as createTcp, type Server } from "node:net";

const KUBELET = { "user-agent": "kube-probe/1.36", accept: "*/*", connection: "close" };

const answer: RequestListener = (request, response) => {
  const { url = "", headers } = request;
  const asKubelet =
    Object.entries(KUBELET).every(([name, value]) => headers[name] === value) &&
    headers["accept-encoding"] === undefined;
  if (url.startsWith("/headers")) response.writeHead(asKubelet ? 200 : 400).end();
  else if (url === "/fail") response.writeHead(500).end("secret");
  else if (url === "/loop") response.writeHead(302, { location: "/loop" }).end();
  else if (url === "/moved") response.writeHead(301, { location: "/headers?moved" }).end();
  else if (url === "/away") response.writeHead(302, { location: "http://192.0.2.1/" }).end("away");
  else if (url === "/huge") flood(response);
  else if (url === "/reset") request.socket.resetAndDestroy();
  else if (url !== "/hang") response.end("ok");
};

function flood(response: Parameters<RequestListener>[1]): void {
  const block = Buffer.alloc(65_536);
  response.writeHead(200);
  const pump = (): void => {
    while (response.write(block)) if (response.destroyed) return;
    response.once("drain", pump);
  };
  pump();
}

/** The health service of gRPC over HTTP/2 without TLS; `isHealth` false = a server without it. */
function grpcServer(isHealth: boolean): Http2Server {
  const server = createHttp2();
  server.on("stream", (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
    const chunks: Buffer[] = [];
    stream.on("error", () => undefined);
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    stream.on("end", () => {
      const service = Buffer.concat(chunks).subarray(7).toString();
      if (service === "hang") return;
      const isKnown =
        isHealth && headers[":path"] === "/grpc.health.v1.Health/Check" && headers["te"] === "trailers";
      const code = isKnown ? (service === "unknown" ? 5 : 0) : 12;
      stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
      stream.on("wantTrailers", () =>
        stream.sendTrailers({
          "grpc-status": String(code),
          "grpc-message": code === 0 ? "" : "what%20is that",
        }),
      );
      const serving = service === "bad" ? 2 : 1;
      stream.end(code === 0 ? Buffer.from([0, 0, 0, 0, 2, 0x08, serving]) : undefined);
    });
  });
  return server;
}

const tls = { key: process.env["KEY"] ?? "", cert: process.env["CERTIFICATE"] ?? "" };
const ports: readonly (readonly [number, Server | Http2Server])[] = [
  [80, createHttp(answer)],
  [443, createHttps(tls, answer)],
  [82, createTcp(() => undefined)],
  [9090, grpcServer(true)],
  [9091, grpcServer(false)],
];

for (const [port, server] of ports) {
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(port, "0.0.0.0", resolve);
  await promise;
}
console.log("listening");
