/** From a container's specification and its image to what the sandbox starts (kubelet generateContainerConfig). */
import type { Container } from "../../../generated/kubernetes.ts";
import type { PodAddresses } from "../../k8s/downward-field.ts";
import { expandReferences } from "../../k8s/env-expansion.ts";
import type { StoredPod } from "../../k8s/pod.ts";
import { quantityOf, wholeValue } from "../../k8s/quantity.ts";
import type { ImageConfig, ResolvedImage } from "../images/image.ts";
import { ContainerStartError, type ContainerSpec } from "../sandbox/sandbox.ts";
import { containerEnv } from "./container-env.ts";
import { containerMounts } from "./container-mounts.ts";
import { oomScoreAdj } from "./oom-score.ts";
import type { ReferencedObjects } from "./referenced-objects.ts";
import { containerLimits } from "./resource-limits.ts";
import { containerIdentity } from "./security-context.ts";
import type { MountedVolume } from "./volumes/pod-volumes.ts";

/** What a container runtime sets when the image does not. */
const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

export interface ContainerConfigFacts {
  readonly pod: StoredPod;
  readonly container: Container;
  readonly image: ResolvedImage;
  readonly id: string;
  readonly hostname: string;
  readonly addresses: PodAddresses;
  readonly objects: ReferencedObjects;
  readonly allocatable: Readonly<Record<string, string>>;
  readonly allowPrivileged: boolean;
  readonly hasOneGroup?: boolean;
  readonly volumes: ReadonlyMap<string, MountedVolume>;
  /** Target -> file on the engine's side: /etc/hosts and the like. */
  readonly podFiles: ReadonlyMap<string, string>;
  readonly terminationLog: string;
  readonly logPath: string;
  /** Id of the container whose process namespace this one joins. */
  readonly processesOf?: string;
}

/** Throws `ContainerConfigError`, and `ContainerStartError` when there is no command. */
export function containerSpec(facts: ContainerConfigFacts): ContainerSpec {
  const { pod, container, image } = facts;
  const env = containerEnv(facts);
  const identity = containerIdentity({
    pod,
    container,
    imageUser: image.config.user,
    isUserOptional: image.config.isUserOptional ?? false,
    allowPrivileged: facts.allowPrivileged,
    hasOneGroup: facts.hasOneGroup ?? false,
  });
  const argv = containerArgv(container, image.config, env);
  if (argv.length === 0) {
    throw new ContainerStartError(
      "CreateContainerError",
      `failed to generate container "${container.name}" spec: no command specified`,
    );
  }
  return {
    ...identity,
    name: container.name,
    id: facts.id,
    rootfs: image.rootfs,
    argv,
    env: runtimeEnv(image.config, facts.hostname, env),
    workingDir: container.workingDir || image.config.workingDir || "/",
    resources: containerLimits(pod.spec, container),
    oomScoreAdj: oomScoreAdj(pod.spec, container, wholeValue(quantityOf(facts.allocatable["memory"] ?? "0"))),
    mounts: containerMounts({ ...facts, env }),
    logPath: facts.logPath,
    stdin: container.stdin === true,
    stdinOnce: container.stdinOnce === true || isEphemeral(pod, container),
    tty: container.tty === true,
    ...(facts.processesOf === undefined ? {} : { processesOf: facts.processesOf }),
  };
}

/**
 * Its input ends with its first client. `kubectl debug -i` does not ask for that: the end of what is piped into it would
 * then cut off the client before the program has answered, and leave the program waiting for ever.
 */
function isEphemeral({ spec }: StoredPod, { name }: Container): boolean {
  return spec.ephemeralContainers?.some((container) => container.name === name) ?? false;
}

/** `command` replaces the entrypoint and drops the image's arguments; `args` replaces the arguments (E1). */
export function containerArgv(
  { command = [], args = [] }: Container,
  { entrypoint, cmd }: ImageConfig,
  env: ReadonlyMap<string, string>,
): string[] {
  const expand = (texts: readonly string[]) =>
    texts.map((text) => expandReferences(text, (name) => env.get(name)).text);
  if (command.length > 0) return [...expand(command), ...expand(args)];
  return [...entrypoint, ...(args.length > 0 ? expand(args) : cmd)];
}

/** The image's variables lie underneath, then the host name, then the pod's own. */
function runtimeEnv(config: ImageConfig, hostname: string, env: ReadonlyMap<string, string>): string[] {
  const all = new Map<string, string>([["PATH", DEFAULT_PATH]]);
  for (const entry of config.env) {
    const at = entry.indexOf("=");
    if (at > 0) all.set(entry.slice(0, at), entry.slice(at + 1));
  }
  all.set("HOSTNAME", hostname);
  for (const [name, value] of env) all.set(name, value);
  return [...all].map(([name, value]) => `${name}=${value}`);
}
