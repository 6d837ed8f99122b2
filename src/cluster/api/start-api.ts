/** The cluster's API server: HTTPS on loopback, one token, answers as kube-apiserver gives them. */
import type { ServerResponse } from "node:http";
import { createServer, type Server } from "node:https";
import { API_SERVER_NAMES } from "../../k8s/cluster-network.ts";
import { type Clock, systemClock } from "../../kernel/clock.ts";
import { messageOf, Problem } from "../../kernel/problem.ts";
import type { GroupResource, KubeObject } from "../../k8s/object.ts";
import type { KubeletPort } from "../kubelet/port.ts";
import type { Store } from "../store/store.ts";
import { assignServiceAccount } from "./service-account-admission.ts";
import { addTolerations, assignPriority } from "./pod-admission.ts";
import { followWaiting, scheduleOn } from "./scheduling.ts";
import { completeClaim } from "./claim-admission.ts";
import { allocateService } from "./service-allocation.ts";
import type { Admit } from "./api-context.ts";
import { warnOfDefinition } from "./custom/definition-admission.ts";
import { followDefinitions } from "./custom/definitions.ts";
import { authenticateBearer, verifyTokens } from "./authenticate.ts";
import { openAuthorizer } from "./authorizer.ts";
import { refuseEscalation } from "./escalation.ts";
import type { ApiExtension } from "./extension.ts";
import type { Pki } from "./pki.ts";
import { serveRequest, type ServeOptions } from "./serve-request.ts";
import type { UpgradeRequest } from "./streaming/upgrades.ts";
import { usageSampler } from "./metrics/usage-sampler.ts";
import { creatorFor } from "./store-new.ts";
import { warnOfWrite } from "./warn-of-write.ts";
import { connectMachine, type ConnectService } from "./webhooks/call-webhook.ts";
import { openWebhooks } from "./webhooks/run-webhooks.ts";
import { openServiceAccountTokens } from "./service-account-tokens.ts";

export interface ApiOptions {
  readonly store: Store;
  readonly kubelet: KubeletPort;
  readonly pki: Pki;
  /** The one node that every Pod is assigned to. */
  readonly nodeName: string;
  /** @default {"127.0.0.1"} */
  readonly address?: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** Taken where `port` is 0, unless another process has it; 0 = no wish. */
  readonly wishedPort?: number;
  readonly clock?: Clock;
  /** Admission steps after the built-in ones, for example injection. */
  readonly admit?: readonly Admit[];
  readonly extensions?: readonly ApiExtension[];
  /** Leads to endpoints of Services, for webhooks that run in pods. @default from this machine */
  readonly connectService?: ConnectService;
  /** Told of failures that are bugs; the client gets `InternalError`. */
  readonly onBug?: (error: unknown) => void;
}

export interface ApiServer {
  readonly port: number;
  /** Creates an object as a client would; for controllers. Rejects with a `StatusError`. */
  readonly create: (resource: GroupResource, object: KubeObject) => Promise<KubeObject>;
  /** Ends watches and streams, then resolves. */
  close(): Promise<void>;
}

/** For reading one request; answers may take for ever. */
const REQUEST_TIMEOUT_MS = 60_000;
/** Idle connections cost next to nothing here, and a new one costs a TLS handshake. */
const KEEP_ALIVE_MS = 120_000;

/** Names a client may address the server by; a page of another site cannot make a browser send these. */
const OWN_NAMES: ReadonlySet<string> = new Set([...API_SERVER_NAMES, "::1"]);

/** `E_PORT_TAKEN` when the port is in use. */
export async function startApi(options: ApiOptions): Promise<ApiServer> {
  const { address = "127.0.0.1", port, wishedPort = 0, pki } = options;
  const closing = new AbortController();
  const serving = serveOptions(options, address);
  const server = createServer({ key: pki.key, cert: pki.certificate, minVersion: "TLSv1.2" });
  const logs = new Set<Promise<void>>();
  server.on("request", (incoming, response) => {
    if (isLogPath(incoming.url)) trackUntilSent(logs, response);
    void serveRequest({ incoming, response }, serving, closing.signal);
  });
  const upgrades = new Set<Promise<void>>();
  server.on("upgrade", (incoming, socket, head) => {
    const upgrade = upgradeLater({ incoming, socket, head }, serving, closing.signal);
    upgrades.add(upgrade);
    void upgrade.then(() => upgrades.delete(upgrade));
  });
  // What is not HTTP gets no answer; one connection's error is nobody else's.
  server.on("clientError", (_error, socket) => socket.destroy());
  server.on("tlsClientError", (_error, socket) => socket.destroy());
  server.requestTimeout = REQUEST_TIMEOUT_MS;
  server.keepAliveTimeout = KEEP_ALIVE_MS;
  const bound = await (port === 0
    ? listenAnywhere(server, address, wishedPort)
    : listen(server, address, port));
  const unfollow = followWaiting(serving.context);
  const forgetDefinitions = followDefinitions(serving.context);
  return {
    port: bound,
    create: creatorFor(serving.context),
    async close() {
      unfollow();
      forgetDefinitions();
      // The last lines of containers that have just ended are on their way.
      await allSent(logs, LOG_DRAIN_MS);
      closing.abort();
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await Promise.all([closed, ...upgrades]);
      serving.context.authorizer.stop();
      serving.context.webhooks.stop();
    },
  };
}

/** Many clusters never see a stream: what serves them is loaded with the first. */
async function upgradeLater(
  request: UpgradeRequest,
  serving: ServeOptions,
  closing: AbortSignal,
): Promise<void> {
  request.socket.on("error", () => request.socket.destroy());
  const { serveUpgrade } = await import("./streaming/upgrades.ts");
  await serveUpgrade(request, serving, closing);
}

function isLogPath(url = ""): boolean {
  return /^\/api\/v1\/namespaces\/[^/]+\/pods\/[^/]+\/log(\?|$)/.test(url);
}

function trackUntilSent(pending: Set<Promise<void>>, response: ServerResponse): void {
  const sent = new Promise<void>((resolve) => {
    response.once("finish", resolve);
    response.once("close", resolve);
  });
  pending.add(sent);
  void sent.then(() => pending.delete(sent));
}

/** Resolves when every response is sent, or after `ms`. */
async function allSent(pending: ReadonlySet<Promise<void>>, ms: number): Promise<void> {
  const { promise: late, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  await Promise.race([Promise.all(pending), late]);
  clearTimeout(timer);
}

function serveOptions(options: ApiOptions, address: string): ServeOptions {
  const { store, kubelet, pki, nodeName, clock = systemClock } = options;
  const tokens = openServiceAccountTokens({ store, clock, pki });
  const verifyToken = verifyTokens(pki.token, tokens);
  const authorizer = openAuthorizer(store);
  return {
    context: {
      store,
      kubelet,
      clock,
      nodeName,
      admit: [
        assignServiceAccount(store),
        assignPriority(store),
        addTolerations,
        completeClaim(store),
        ...(options.admit ?? []),
      ],
      settle: [
        scheduleOn({ store, nodeName }),
        allocateService(store),
        warnOfWrite,
        warnOfDefinition,
        refuseEscalation(authorizer),
      ],
      webhooks: openWebhooks({ store, clock, connectService: options.connectService ?? connectMachine }),
      verifyToken,
      tokens,
      authorizer,
      measure: usageSampler(kubelet, clock),
    },
    extensions: options.extensions ?? [],
    authenticate: authenticateBearer(verifyToken, authorizer),
    isOwnName: (host) => OWN_NAMES.has(host) || host === address,
    onBug: options.onBug ?? ((error) => console.error("the API failed in a way it should not:", error)),
  };
}

/** A reader that does not read, or a container that has not ended, does not hold up the end for longer. */
const LOG_DRAIN_MS = 500;

/** A free port, the wished one if it is free. */
async function listenAnywhere(server: Server, address: string, wishedPort: number): Promise<number> {
  try {
    return await listen(server, address, wishedPort);
  } catch (error) {
    if (!(error instanceof Problem && error.code === "E_PORT_TAKEN")) throw error;
    return await listen(server, address, 0);
  }
}

async function listen(server: Server, address: string, port: number): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", (cause: NodeJS.ErrnoException) =>
      reject(listenProblem(cause, `${address}:${port}`)),
    );
    server.listen(port, address, resolve);
  });
  const bound = server.address();
  return typeof bound === "object" && bound !== null ? bound.port : port;
}

function listenProblem(cause: NodeJS.ErrnoException, place: string): Problem {
  if (cause.code === "EADDRINUSE") {
    return new Problem({
      code: "E_PORT_TAKEN",
      message: `Cannot start the API on ${place}: another process listens there`,
      fix: "Stop that process, or leave the port out so that a free one is taken",
      cause,
    });
  }
  return new Problem({
    code: "E_LISTEN",
    message: `Cannot start the API on ${place}: ${messageOf(cause)}`,
    fix: "Leave the port out, so that a free one on 127.0.0.1 is taken",
    cause,
  });
}
