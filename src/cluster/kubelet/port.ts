/** What the API needs of the node: logs, streams to processes and ports, and what they use. */
import type { Duplex } from "node:stream";
import type { AttachedProcess, AttachSpec, ExecProcess, ExecSpec } from "../sandbox/process-io.ts";
import type { ResourceUse } from "../sandbox/sandbox.ts";

/** The API sees of the sandbox what stands here. */
export type { ProcessInput, ProcessStreams, TerminalSize } from "../sandbox/process-io.ts";
export type { ResourceUse } from "../sandbox/sandbox.ts";

/** Query of `GET …/pods/NAME/log` (`v1.PodLogOptions`). */
export interface LogOptions {
  readonly container: string;
  readonly follow: boolean;
  readonly previous: boolean;
  readonly timestamps: boolean;
  readonly tailLines?: number;
  readonly sinceSeconds?: number;
  /** RFC 3339. */
  readonly sinceTime?: string;
  readonly limitBytes?: number;
}

/** Names a container of a pod, as a subresource does. */
export interface ContainerPlace {
  readonly namespace: string;
  readonly name: string;
  readonly container: string;
}

/** Of one pod, for `metrics.k8s.io`. */
export interface PodUse {
  readonly namespace: string;
  readonly name: string;
  readonly containers: readonly ({ readonly name: string } & ResourceUse)[];
}

/** What a token of a service account is asked for: `TokenRequest` of a pod (projected `serviceAccountToken`). */
export interface TokenSubject {
  readonly namespace: string;
  readonly serviceAccount: string;
  /** Empty: the API server itself. */
  readonly audiences: readonly string[];
  readonly expirationSeconds: number;
  /** The pod that the token is bound to: with it, the token ends. */
  readonly pod: { readonly name: string; readonly uid: string };
}

/**
 * Signs a token; `expiresAt` in Unix milliseconds. Throws `StatusError`, for example when there is no such service account.
 * Called anew before the token expires; must not keep the caller waiting.
 */
export type IssueToken = (subject: TokenSubject) => { readonly token: string; readonly expiresAt: number };

export interface KubeletPort {
  /**
   * Text of a container's log, ready to send. With `follow` it ends when the container instance ends or `signal` aborts.
   * The reader's pace is the pace: nothing is buffered beyond one chunk. Throws `StatusError` (BadRequest, NotFound)
   * with the kubelet's messages, before the first chunk.
   */
  openLog(
    pod: { readonly namespace: string; readonly name: string },
    options: LogOptions,
    signal: AbortSignal,
  ): Promise<AsyncIterable<Uint8Array>>;

  /** Whether such a container runs now; without a name, whether such a pod is ready to be connected to. */
  isRunning(at: { readonly namespace: string; readonly name: string; readonly container?: string }): boolean;

  /** Rejects with `StatusError` in the kubelet's words: no such container, not running, program not found. */
  exec(at: ContainerPlace, spec: ExecSpec): Promise<ExecProcess>;

  /** As `exec`. `exited` resolves when the instance that was attached to has ended. */
  attach(
    at: ContainerPlace,
    spec: AttachSpec,
  ): Promise<AttachedProcess & { readonly exited: Promise<{ readonly exitCode: number }> }>;

  /**
   * Connects to a port on the pod's own loopback. Rejects with `StatusError` when there is no such running pod, and with the
   * kernel's error when nobody listens.
   */
  connect(
    pod: { readonly namespace: string; readonly name: string },
    port: number,
    signal: AbortSignal,
  ): Promise<Duplex>;

  /** What runs now. Bytes and CPU time are measured when it is called. */
  usage(): { readonly node: ResourceUse; readonly pods: readonly PodUse[] };
}
