/** Ports of the node that pods ask for, and which of them are in each other's way (scheduler NodePorts). */
import type { Container, PodSpec } from "../../generated/kubernetes.ts";
import type { Unchecked } from "./validation/unchecked.ts";

export interface HostPort {
  readonly container: string;
  /** Of the sidecars' list; nobody publishes those (rule I18). */
  readonly isSidecar: boolean;
  readonly hostIP: string;
  readonly hostPort: number;
  readonly containerPort: number;
  readonly protocol: string;
}

/** In the order of the manifest, main containers first. The specification may not have been validated yet. */
export function hostPortsOf({ containers = [], initContainers = [] }: Unchecked<PodSpec>): HostPort[] {
  const ofList = (list: readonly Unchecked<Container>[], isSidecar: boolean) =>
    list.flatMap(({ name = "", ports = [] }) =>
      ports.flatMap(({ hostPort = 0, hostIP = "", containerPort = 0, protocol = "TCP" }) =>
        hostPort === 0 ? [] : [{ container: name, isSidecar, hostIP, hostPort, containerPort, protocol }],
      ),
    );
  const sidecars = initContainers.filter(({ restartPolicy }) => restartPolicy === "Always");
  return [...ofList(containers, false), ...ofList(sidecars, true)];
}

const EVERY_ADDRESS = "0.0.0.0";

function areInConflict(a: HostPort, b: HostPort): boolean {
  if (a.hostPort !== b.hostPort || a.protocol !== b.protocol) return false;
  const [one, other] = [a.hostIP || EVERY_ADDRESS, b.hostIP || EVERY_ADDRESS];
  return one === other || one === EVERY_ADDRESS || other === EVERY_ADDRESS;
}

/** The first port of the pod that another one has; `others` is asked only when the pod wants any. */
export function takenHostPort(
  spec: Unchecked<PodSpec>,
  others: () => readonly PodSpec[],
): HostPort | undefined {
  const wanted = hostPortsOf(spec);
  if (wanted.length === 0) return undefined;
  const taken = others().flatMap((other) => hostPortsOf(other));
  return wanted.find((port) => taken.some((other) => areInConflict(port, other)));
}
