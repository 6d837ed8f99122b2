/** What a streaming subresource has to know of the request that asks for it. */
import type { IncomingHttpHeaders } from "node:http";
import type { Pod } from "../../../../generated/kubernetes.ts";
import type { Clock } from "../../../kernel/clock.ts";
import { StatusError } from "../../../k8s/status-error.ts";
import type { KubeletPort } from "../../kubelet/port.ts";
import type { ByteConnection } from "./byte-connection.ts";

export interface StreamContext {
  readonly pod: Pod;
  readonly query: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
  readonly kubelet: KubeletPort;
  readonly clock: Clock;
}

/** An upgrade that has been agreed on. */
export interface StreamPlan {
  /** Of the answer 101. */
  readonly headers: Readonly<Record<string, string>>;
  /** Resolves when all is over. Never rejects for what a client does. */
  serve(connection: ByteConnection): Promise<void>;
}

/** registry/core/pod `streamLocation`, `PortForwardLocation`. */
export function refuseUnscheduled({ metadata, spec }: Pod): void {
  if ((spec?.nodeName ?? "") !== "") return;
  throw new StatusError("BadRequest", `pod ${metadata?.name ?? ""} does not have a host assigned`);
}
