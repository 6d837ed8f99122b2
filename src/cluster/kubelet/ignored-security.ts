/** Which parts of a pod's security contexts and resources this node does not act on. */
import type { Container, PodSecurityContext, SecurityContext } from "../../../generated/kubernetes.ts";
import type { StoredPod } from "../../k8s/pod.ts";
import { grantedCapabilities } from "../sandbox/capabilities.ts";
import type { Tier } from "../sandbox/sandbox.ts";

/** Paths of fields that change nothing here: profiles of AppArmor and labels of SELinux belong to other kernels' set-ups. */
export function ignoredSecurity({ spec }: StoredPod): readonly string[] {
  const lists = [
    ["initContainers", spec.initContainers ?? []],
    ["containers", spec.containers],
  ] as const;
  return [
    ...(spec.hostUsers === false ? ["spec.hostUsers"] : []),
    ...profilesOf(spec.securityContext).map((field) => `spec.securityContext.${field}`),
    ...lists.flatMap(([list, containers]) =>
      containers.flatMap(({ securityContext }, index) =>
        profilesOf(securityContext).map((field) => `spec.${list}[${index}].securityContext.${field}`),
      ),
    ),
  ];
}

function profilesOf({
  appArmorProfile,
  seLinuxOptions,
}: PodSecurityContext | SecurityContext = {}): string[] {
  const isConfined = appArmorProfile !== undefined && appArmorProfile.type !== "Unconfined";
  return [
    ...(isConfined ? ["appArmorProfile"] : []),
    ...(seLinuxOptions === undefined || Object.keys(seLinuxOptions).length === 0 ? [] : ["seLinuxOptions"]),
  ];
}

/** A sentence about containers that get fewer capabilities than they ask for, in a cluster without `--allow-privileged`. */
export function withheldCapabilities({ spec }: StoredPod): readonly string[] {
  const names = [...(spec.initContainers ?? []), ...spec.containers].flatMap(({ name, securityContext }) => {
    const add = securityContext?.capabilities?.add ?? [];
    return grantedCapabilities(add).length === add.length ? [] : [JSON.stringify(name)];
  });
  if (names.length === 0) return [];
  return [
    `Without the capability SYS_PTRACE, with which they could look into this machine's programs, run: ${names.join(", ")}. ` +
      "They can still trace programs of their own user; to give it to them, start the cluster with `pillion up --allow-privileged`",
  ];
}

/** Sentences about limits of this pod that nobody enforces; empty when all are, and for pods without limits. */
export function unenforcedLimits({ spec }: StoredPod, { resourceLimits, limits }: Tier): readonly string[] {
  if (resourceLimits !== "none") return [];
  const all: readonly (Container["resources"] | undefined)[] = [
    spec.resources,
    ...[...(spec.initContainers ?? []), ...spec.containers].map(({ resources }) => resources),
  ];
  const isLimited = all.some(({ limits: own = {} } = {}) => "memory" in own || "cpu" in own);
  return isLimited ? limits.filter((sentence) => sentence.startsWith("Memory and CPU limits")) : [];
}
