/** Publishes the host ports of a pod on this machine's loopback: nothing of a pod is ever open to the outside. */
import type { PodSpec } from "../../../generated/kubernetes.ts";
import { hostPortsOf, type HostPort } from "../../k8s/host-ports.ts";
import { messageOf } from "../../kernel/problem.ts";
import { openPortRelay, type PortRelay } from "../net/port-relay.ts";
import type { Sandbox } from "../sandbox/sandbox.ts";

const LOOPBACK = "127.0.0.1";
const EVERY_ADDRESS: ReadonlySet<string> = new Set(["", "0.0.0.0", "::"]);

export interface HostPortPlan {
  readonly publish: readonly (HostPort & { readonly address: string })[];
  /** Sentences about what is not published; the pod runs all the same. */
  readonly warnings: readonly string[];
}

/** Ports of a pod in the node's network are the node's own, which this machine does not share. */
export function hostPortPlan(spec: PodSpec): HostPortPlan {
  if (spec.hostNetwork === true) return { publish: [], warnings: [] };
  const publish: (HostPort & { readonly address: string })[] = [];
  const warnings: string[] = [];
  for (const port of hostPortsOf(spec)) {
    const why = whyNotPublished(port);
    const address = EVERY_ADDRESS.has(port.hostIP) ? LOOPBACK : port.hostIP;
    if (why === undefined) publish.push({ ...port, address });
    else warnings.push(`hostPort ${port.hostPort} of container "${port.container}" is not published: ${why}`);
  }
  return { publish, warnings };
}

function whyNotPublished({ isSidecar, protocol, hostIP }: HostPort): string | undefined {
  if (isSidecar) return "the kubelet takes host ports from spec.containers only, not from init containers";
  if (protocol !== "TCP") return `only TCP ports are, and its protocol is ${protocol}`;
  const isLoopback = hostIP.startsWith("127.") || hostIP === "::1";
  if (EVERY_ADDRESS.has(hostIP) || isLoopback) return undefined;
  return `hostIP "${hostIP}" is no loopback address, and pods are never open to the outside`;
}

/** The listeners of one pod. */
export interface PublishedPorts {
  close(): void;
}

/** All of them, or an error that says which one cannot be had, and why. */
export async function publishHostPorts(
  { publish }: HostPortPlan,
  sandbox: Pick<Sandbox, "connect">,
  podIP: string,
): Promise<PublishedPorts> {
  const relays: PortRelay[] = [];
  const close = () => {
    for (const relay of relays.splice(0)) relay.close();
  };
  for (const { address, hostPort: port, container, containerPort } of publish) {
    const connect = (signal: AbortSignal) => sandbox.connect({ ip: podIP, port: containerPort }, signal);
    try {
      relays.push(await openPortRelay({ address, port, connect }));
    } catch (error) {
      close();
      throw new Error(
        `Cannot publish hostPort ${port} of container "${container}": ${whyRefused(error, `${address}:${port}`)}`,
        { cause: error },
      );
    }
  }
  return { close };
}

function whyRefused(error: unknown, place: string): string {
  const code = error instanceof Error && "code" in error ? error.code : "";
  if (code === "EADDRINUSE")
    return `another program of this machine listens on ${place}. Stop it, or choose another hostPort`;
  if (code === "EACCES")
    return `this machine does not let its user listen on ${place}. Choose a hostPort from 1024 on, or run the cluster as root`;
  return `this machine refuses to listen on ${place}: ${messageOf(error)}`;
}
