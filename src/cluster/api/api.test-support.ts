/** A real API server on a real store in memory, and the clients that tests need: HTTP, bare TLS, streams of JSON. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, type TLSSocket } from "node:tls";
import { type Clock, systemClock } from "../../kernel/clock.ts";
import { resourceOf } from "../../k8s/catalogue.ts";
import { seedCluster } from "../controllers/bootstrap.ts";
import type { KubeletPort } from "../kubelet/port.ts";
import { StatusError } from "../../k8s/status-error.ts";
import { openStore } from "../store/open-store.ts";
import type { Store } from "../store/store.ts";
import { writeKubeconfig } from "./kubeconfig.ts";
import { openPki, type Pki } from "./pki.ts";
import { type ApiOptions, type ApiServer, startApi } from "./start-api.ts";

const nothing = () => Promise.reject(new StatusError("NotFound", "no pod runs here"));

/** A node on which nothing runs. */
export const idleKubelet: KubeletPort = {
  openLog: async () => (async function* () {})(),
  isRunning: () => false,
  exec: nothing,
  attach: nothing,
  connect: nothing,
  usage: () => ({ node: { cpuNanoseconds: 0, memoryBytes: 0, measuredAt: 0 }, pods: [] }),
};

// One for all tests of the process: making it is not what they test.
const shared = { pki: undefined as Promise<Pki> | undefined };

function sharedPki(): Promise<Pki> {
  shared.pki ??= newPki();
  return shared.pki;
}

async function newPki(): Promise<Pki> {
  const folder = mkdtempSync(join(tmpdir(), "pillion-api-"));
  try {
    return await openPki({ folder, now: Date.now() });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

export interface Json {
  readonly [field: string]: unknown;
}

export interface JsonResponse {
  readonly code: number;
  readonly headers: Headers;
  readonly body: Json;
}

export interface CallOptions {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Objects are sent as JSON, text as it is. */
  readonly body?: object | string;
  readonly signal?: AbortSignal;
}

export class TestApi implements AsyncDisposable {
  readonly store: Store;
  readonly server: ApiServer;
  readonly pki: Pki;
  readonly bugs: unknown[];
  readonly #folder = mkdtempSync(join(tmpdir(), "pillion-api-"));

  constructor(parts: { store: Store; server: ApiServer; pki: Pki; bugs: unknown[] }) {
    this.store = parts.store;
    this.server = parts.server;
    this.pki = parts.pki;
    this.bugs = parts.bugs;
  }

  get url(): string {
    return `https://127.0.0.1:${this.server.port}`;
  }

  /** Environment for kubectl: nothing of this user's own configuration. */
  get kubectlEnv(): Record<string, string> {
    const kubeconfig = join(this.#folder, "kubeconfig");
    writeKubeconfig(kubeconfig, {
      cluster: "test",
      server: this.url,
      authority: this.pki.authority,
      token: this.pki.token,
    });
    return {
      PATH: process.env["PATH"] ?? "",
      HOME: this.#folder,
      KUBECONFIG: kubeconfig,
      KUBECACHEDIR: join(this.#folder, "cache"),
      TMPDIR: this.#folder,
    };
  }

  /** With the token, unless `headers` say otherwise. */
  async fetch(path: string, { method = "GET", headers, body, signal }: CallOptions = {}): Promise<Response> {
    return await fetch(`${this.url}${path}`, {
      method,
      headers: {
        Authorization: `Bearer ${this.pki.token}`,
        ...(body === undefined ? {} : { "Content-Type": "application/json" }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
      ...(signal === undefined ? {} : { signal }),
      tls: { ca: this.pki.authority },
    });
  }

  async call(path: string, options?: CallOptions): Promise<JsonResponse> {
    const response = await this.fetch(path, options);
    return { code: response.status, headers: response.headers, body: (await response.json()) as Json };
  }

  /** A bare TLS connection, for what no HTTP client would send. */
  async connect(): Promise<TLSSocket> {
    const socket = connect({ host: "127.0.0.1", port: this.server.port, ca: this.pki.authority });
    await new Promise<void>((resolve, reject) => {
      socket.once("secureConnect", resolve);
      socket.once("error", reject);
    });
    return socket;
  }

  /** Resolves when the stream has begun. It yields lines, parsed; leaving the loop closes the connection. */
  async lines(path: string, headers: Readonly<Record<string, string>> = {}): Promise<AsyncGenerator<Json>> {
    const leave = new AbortController();
    return linesOf(await this.fetch(path, { headers, signal: leave.signal }), leave);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server.close();
    this.store.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

async function* linesOf(response: Response, leave: AbortController): AsyncGenerator<Json> {
  try {
    let rest = "";
    for await (const text of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
      const parts = (rest + text).split("\n");
      rest = parts.pop() ?? "";
      for (const part of parts) yield JSON.parse(part) as Json;
    }
  } finally {
    leave.abort();
  }
}

interface TestApiOptions extends Partial<ApiOptions> {
  readonly clock?: Clock;
  readonly historyLimit?: number;
}

/** No controllers run: only the namespaces that every cluster has get their account. */
export async function startTestApi(options: TestApiOptions = {}): Promise<TestApi> {
  const { clock = systemClock, historyLimit, ...rest } = options;
  const pki = await sharedPki();
  const bugs: unknown[] = [];
  const store = openStore({
    path: ":memory:",
    clock,
    resources: resourceOf,
    ...(historyLimit === undefined ? {} : { historyLimit }),
  });
  const server = await startApi({
    store,
    kubelet: idleKubelet,
    pki,
    clock,
    nodeName: "node-1",
    port: 0,
    onBug: (error) => bugs.push(error),
    ...rest,
  });
  seedCluster(store, { apiPort: server.port });
  const namespaces = store.list("namespaces").items.map(({ metadata }) => metadata.name ?? "");
  for (const namespace of namespaces) addDefaultAccount(store, namespace);
  return new TestApi({ store, server, pki, bugs });
}

/** Without it the namespace takes no pods. */
function addDefaultAccount(store: Store, namespace: string): void {
  const metadata = { namespace, name: "default" };
  store.create("serviceaccounts", { apiVersion: "v1", kind: "ServiceAccount", metadata });
}
