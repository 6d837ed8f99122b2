/** What is written down with each process so that another engine can go on with it. */
import type { Membership } from "./container-members.ts";
import type { ContainerUser } from "./container-user.ts";
import type { ContainerSpec, PodSandboxSpec } from "./sandbox.ts";

/** Changes with the meaning of what follows: an engine adopts nothing that another version wrote differently. */
const FORMAT = 1;

/** The process that outlives engines and inherits what they started. */
export interface KeeperDetails {
  readonly kind: "keeper";
  /** Pipe that it reads commands from. */
  readonly commands: string;
}

/** The process that holds the node's namespaces. */
export interface NodeDetails {
  readonly kind: "node";
}

/** The process that holds a pod's namespaces. */
export interface PodDetails {
  readonly kind: "pod";
  readonly spec: PodSandboxSpec;
  /** An unsigned number; absent for hostNetwork. */
  readonly address?: number;
}

/** Process 1 of a container. */
export interface ContainerDetails {
  readonly kind: "container";
  readonly podUid: string;
  readonly spec: ContainerSpec;
  readonly user: ContainerUser;
  /** Unix milliseconds. */
  readonly startedAt: number;
  readonly shared?: Membership;
}

export type KeptDetails = KeeperDetails | NodeDetails | PodDetails | ContainerDetails;

export function keptDetails<Details extends KeptDetails>(details: Details): Details {
  return { format: FORMAT, ...details };
}

/** Undefined for what no engine of this format wrote. */
export function readKeptDetails(value: unknown): KeptDetails | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  return "format" in value && value.format === FORMAT ? (value as unknown as KeptDetails) : undefined;
}
