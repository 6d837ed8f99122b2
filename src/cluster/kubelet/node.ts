/** The Node object of this machine and its Lease: what `kubectl get nodes` and `kubectl describe node` show. */
import { readFileSync, statfsSync } from "node:fs";
import { arch, cpus, release, totalmem } from "node:os";
import type { Node, NodeCondition, NodeStatus, NodeSystemInfo } from "../../../generated/kubernetes.ts";
import type { KubeObject } from "../../k8s/object.ts";
import { StatusError } from "../../k8s/status-error.ts";
import { formatTimestamp } from "../../k8s/timestamp.ts";
import type { Clock } from "../../kernel/clock.ts";
import type { Sandbox } from "../sandbox/sandbox.ts";
import type { Store } from "../store/store.ts";

/** The Kubernetes version whose behaviour is followed. */
const KUBELET_VERSION = "v1.36.2+pillion";
const MAX_PODS = "110";
const LEASE_NAMESPACE = "kube-node-lease";
const LEASE_SECONDS = 40;
const RENEW_MS = 10_000;
const RETRY_MS = 1000;
/** Heartbeats of the conditions are rare: the Lease shows that the node is alive (nodeStatusReportFrequency). */
const REPORT_MS = 300_000;

const MACHINE_ADDRESS = "127.0.0.1";

export type NodeCapacity = Readonly<Record<string, string>>;

export interface NodeFacts {
  readonly store: Store;
  readonly clock: Clock;
  readonly nodeName: string;
  readonly sandbox: Sandbox;
  readonly capacity: NodeCapacity;
  readonly version: string;
}

/** What pods may use: this machine, whole. `folder` is on the disk that holds the volumes. */
export function nodeCapacity(folder: string): NodeCapacity {
  const { blocks, bsize } = statfsSync(folder);
  return {
    cpu: String(cpus().length || 1),
    "ephemeral-storage": `${Math.floor((blocks * bsize) / 1024)}Ki`,
    memory: `${Math.floor(totalmem() / 1024)}Ki`,
    pods: MAX_PODS,
  };
}

/** Writes Node and Lease now, renews them until stopped. */
export function startNode(facts: NodeFacts): { stop(): void } {
  const { clock } = facts;
  registerNode(facts);
  let reportedAt = clock.monotonic();
  let cancel = () => {};
  const beat = () => {
    const hasLease = renewLease(facts);
    if (clock.monotonic() - reportedAt >= REPORT_MS) {
      registerNode(facts);
      reportedAt = clock.monotonic();
    }
    // The namespace of the leases may be made a moment after us.
    cancel = clock.schedule(hasLease ? RENEW_MS : RETRY_MS, beat);
  };
  cancel = clock.schedule(0, beat);
  return { stop: () => cancel() };
}

function registerNode(facts: NodeFacts): void {
  const { store, nodeName, clock } = facts;
  const at = { namespace: "", name: nodeName };
  const now = formatTimestamp(clock.now());
  if (store.get("nodes", at) === undefined) store.create("nodes", newNode(nodeName));
  else store.update("nodes", at, (current) => withOurLabels(current, nodeName));
  store.update(
    "nodes",
    at,
    (current) => ({ ...current, status: nodeStatus(facts, (current as Node).status ?? {}, now) }),
    { subresource: "status" },
  );
}

function newNode(name: string): KubeObject {
  return {
    apiVersion: "v1",
    kind: "Node",
    metadata: {
      name,
      labels: ourLabels(name),
      annotations: { "volumes.kubernetes.io/controller-managed-attach-detach": "true" },
    },
    spec: {},
  };
}

function withOurLabels(current: KubeObject, name: string): KubeObject {
  const { metadata } = current;
  return { ...current, metadata: { ...metadata, labels: { ...metadata.labels, ...ourLabels(name) } } };
}

function ourLabels(name: string): Record<string, string> {
  return {
    "beta.kubernetes.io/arch": goArch(),
    "beta.kubernetes.io/os": "linux",
    "kubernetes.io/arch": goArch(),
    "kubernetes.io/hostname": name,
    "kubernetes.io/os": "linux",
  };
}

function nodeStatus(facts: NodeFacts, before: NodeStatus, now: string): NodeStatus {
  const { nodeName, sandbox, capacity, version } = facts;
  return {
    ...before,
    capacity: { ...capacity },
    allocatable: { ...capacity },
    conditions: CONDITIONS.map((condition) => conditionOf(condition, before, now)),
    addresses: [
      // Clients show the first: the one where this machine finds node ports. Pods find them at the other.
      { type: "InternalIP", address: MACHINE_ADDRESS },
      { type: "InternalIP", address: sandbox.nodeIP },
      { type: "Hostname", address: nodeName },
    ],
    nodeInfo: systemInfo(version),
  };
}

type Fixed = Pick<NodeCondition, "type" | "status" | "reason" | "message">;

const CONDITIONS: readonly Fixed[] = [
  {
    type: "MemoryPressure",
    status: "False",
    reason: "KubeletHasSufficientMemory",
    message: "kubelet has sufficient memory available",
  },
  {
    type: "DiskPressure",
    status: "False",
    reason: "KubeletHasNoDiskPressure",
    message: "kubelet has no disk pressure",
  },
  {
    type: "PIDPressure",
    status: "False",
    reason: "KubeletHasSufficientPID",
    message: "kubelet has sufficient PID available",
  },
  { type: "Ready", status: "True", reason: "KubeletReady", message: "kubelet is posting ready status" },
];

function conditionOf(condition: Fixed, { conditions = [] }: NodeStatus, now: string): NodeCondition {
  const before = conditions.find(({ type }) => type === condition.type);
  const isSame = before?.status === condition.status;
  const lastTransitionTime = isSame ? (before.lastTransitionTime ?? now) : now;
  return { ...condition, lastHeartbeatTime: now, lastTransitionTime };
}

function systemInfo(version: string): NodeSystemInfo {
  return {
    architecture: goArch(),
    bootID: readLine("/proc/sys/kernel/random/boot_id"),
    containerRuntimeVersion: `pillion://${version}`,
    kernelVersion: release(),
    kubeProxyVersion: "",
    kubeletVersion: KUBELET_VERSION,
    machineID: readLine("/etc/machine-id"),
    operatingSystem: "linux",
    osImage: osImage(),
    systemUUID: "",
  };
}

/** Go's name of the processor architecture. */
function goArch(): string {
  return arch() === "x64" ? "amd64" : arch();
}

function osImage(): string {
  const match = /^PRETTY_NAME=(?:"([^"]*)"|(.*))$/m.exec(readText("/etc/os-release"));
  return match?.[1] ?? match?.[2] ?? "Linux";
}

function readLine(path: string): string {
  return readText(path).split("\n", 1)[0] ?? "";
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    // Minimal systems lack some of these files; the field is then empty, as in the kubelet.
    return "";
  }
}

/** False when it could not be written. */
function renewLease({ store, clock, nodeName }: NodeFacts): boolean {
  const at = { namespace: LEASE_NAMESPACE, name: nodeName };
  const spec = {
    holderIdentity: nodeName,
    leaseDurationSeconds: LEASE_SECONDS,
    renewTime: new Date(clock.now()).toISOString().replace("Z", "000Z"),
  };
  try {
    if (store.get("leases.coordination.k8s.io", at) === undefined)
      store.create("leases.coordination.k8s.io", newLease(store, nodeName, spec));
    else
      store.update("leases.coordination.k8s.io", at, (current) => ({
        ...current,
        spec: { ...(current["spec"] as object), ...spec },
      }));
    return true;
  } catch (error) {
    if (!(error instanceof StatusError)) throw error;
    return false;
  }
}

function newLease(store: Store, nodeName: string, spec: object): KubeObject {
  const uid = store.get("nodes", { namespace: "", name: nodeName })?.metadata.uid ?? "";
  return {
    apiVersion: "coordination.k8s.io/v1",
    kind: "Lease",
    metadata: {
      name: nodeName,
      namespace: LEASE_NAMESPACE,
      ownerReferences: [{ apiVersion: "v1", kind: "Node", name: nodeName, uid }],
    },
    spec,
  };
}
