/** What every part of the kubelet works with. */
import { join } from "node:path";
import type { StoredPod } from "../../k8s/pod.ts";
import type { Clock } from "../../kernel/clock.ts";
import type { Images } from "../images/image.ts";
import type { DnsOfCluster } from "../net/resolv-conf.ts";
import type { Sandbox } from "../sandbox/sandbox.ts";
import type { Store } from "../store/store.ts";
import type { BackoffLimits } from "./crash-backoff.ts";
import type { EventRecorder } from "../store/event-recorder.ts";
import type { IssueToken } from "./port.ts";
import type { NodeFolders } from "./volumes/host-path.ts";

export interface KubeletContext {
  readonly store: Store;
  readonly sandbox: Sandbox;
  readonly images: Images;
  readonly clock: Clock;
  readonly recorder: EventRecorder;
  readonly folders: StateFolders;
  readonly node: NodeFolders & {
    readonly name: string;
    readonly allocatable: Readonly<Record<string, string>>;
  };
  readonly dns: DnsOfCluster;
  readonly backoff: BackoffLimits;
  readonly allowPrivileged: boolean;
  /** Absent: there are no tokens for projected volumes. */
  readonly issueToken: IssueToken | undefined;
}

/** Where the kubelet keeps files in the cluster's state folder. */
export interface StateFolders {
  readonly pods: string;
  readonly logs: string;
  readonly nodeRoot: string;
}

export function stateFolders(stateDir: string): StateFolders {
  return {
    pods: join(stateDir, "pods"),
    logs: join(stateDir, "logs"),
    nodeRoot: join(stateDir, "node"),
  };
}

/** Volumes, /etc/hosts and termination messages of a pod. The uid is the store's own. */
export function podFolder(folders: StateFolders, uid: string): string {
  return join(folders.pods, pathSegment(uid));
}

/** `<namespace>_<name>_<uid>`, as the kubelet names it. */
export function podLogFolder(folders: StateFolders, { metadata }: StoredPod): string {
  return join(folders.logs, pathSegment(`${metadata.namespace}_${metadata.name}_${metadata.uid}`));
}

export function containerLogFolder(folders: StateFolders, pod: StoredPod, container: string): string {
  return join(podLogFolder(folders, pod), pathSegment(container));
}

/** Names are validated long before; one that is no plain name here is a bug and must not touch a path. */
function pathSegment(name: string): string {
  if (name === "" || name === "." || name === ".." || /[/\0]/.test(name))
    throw new TypeError(`Not a path segment: ${JSON.stringify(name)}`);
  return name;
}
