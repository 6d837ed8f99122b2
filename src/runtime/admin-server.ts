/** The port that kubelet and Prometheus ask: three probes and the metrics, and nothing that could change or reveal anything. */
import type { Gate } from "../kernel/health.ts";
import { messageOf, Problem } from "../kernel/problem.ts";
import type { ProbeAnswer, RuntimeView } from "./view.ts";

export interface AdminServer {
  /** Where it listens, also when 0 was asked for. */
  readonly port: number;
  /** Resolves when the port is free again. */
  stop(): Promise<void>;
}

const IDLE_SECONDS = 30;
/** Nobody has a reason to send a body. */
const MAX_BODY_BYTES = 1024;
const METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8";

/** Listens on every address of the pod. `E_PORT_TAKEN` or `E_PORT` when that is not possible. */
export function startAdminServer(view: RuntimeView, port: number): AdminServer {
  const server = listen(port, (request) => answer(view, request));
  return { port: server.port ?? port, stop: () => server.stop(true) };
}

type Handler = (request: Request) => Response;

function listen(port: number, handle: Handler): Bun.Server<undefined> {
  try {
    return serve("::", port, handle);
  } catch (cause) {
    if (codeOf(cause) === "EADDRINUSE" || codeOf(cause) === "EACCES") throw cannotListen(port, cause);
  }
  try {
    // A machine without IPv6 has no address "::".
    return serve("0.0.0.0", port, handle);
  } catch (cause) {
    throw cannotListen(port, cause);
  }
}

function serve(hostname: string, port: number, handle: Handler): Bun.Server<undefined> {
  return Bun.serve({
    hostname,
    port,
    idleTimeout: IDLE_SECONDS,
    maxRequestBodySize: MAX_BODY_BYTES,
    development: false,
    // Without `development` Bun would share the port with whoever has it.
    reusePort: false,
    fetch: handle,
    error: () => text(500, "internal error"),
  });
}

function answer(view: RuntimeView, request: Request): Response {
  const { pathname, searchParams } = new URL(request.url);
  const verbose = searchParams.has("verbose");
  const page = pages(view, verbose)[pathname];
  if (page === undefined) return text(404, "not found");
  if (request.method === "GET" || request.method === "HEAD") return page();
  const refusal = text(405, "only GET is allowed");
  refusal.headers.set("Allow", "GET, HEAD");
  return refusal;
}

function pages(view: RuntimeView, verbose: boolean): Readonly<Record<string, (() => Response) | undefined>> {
  return {
    __proto__: null as never,
    "/livez": () => probe(view.isLive()),
    "/readyz": () => probe(view.isReady(), verbose ? gates(view, "traffic") : []),
    "/startupz": () => probe(view.isStarted(), verbose ? gates(view, "start") : []),
    "/metrics": () => new Response(view.metricsText(), { headers: { "Content-Type": METRICS_TYPE } }),
  };
}

function probe({ isOk, because }: ProbeAnswer, more: readonly string[] = []): Response {
  return text(isOk ? 200 : 503, [isOk ? "ok" : "not ok", ...because, ...more].join("\n"));
}

/** What `?verbose` adds: the sidecars that this probe asks. */
function gates(view: RuntimeView, gate: Gate): readonly string[] {
  return view
    .status()
    .sidecars.filter((sidecar) => sidecar.gate === gate)
    .map(({ name, kind, state, health }) => `${name} (${kind}): ${state}, ${health}`);
}

function text(status: number, body: string): Response {
  return new Response(`${body}\n`, {
    status,
    headers: { "Content-Type": "text/plain; charset=utf-8", "Cache-Control": "no-store" },
  });
}

function cannotListen(port: number, cause: unknown): Problem {
  if (codeOf(cause) === "EADDRINUSE") {
    return new Problem({
      code: "E_PORT_TAKEN",
      message: `Cannot listen on the admin port ${port}: another process has it`,
      fix: "Set `admin.port` or `--port` to a port that no container of this pod uses",
      cause,
    });
  }
  return new Problem({
    code: "E_PORT",
    message: `Cannot listen on the admin port ${port}: ${messageOf(cause)}`,
    fix: "Set `admin.port` or `--port` to a port from 1024 to 65535",
    cause,
  });
}

function codeOf(thrown: unknown): unknown {
  return thrown instanceof Error && "code" in thrown ? thrown.code : undefined;
}
