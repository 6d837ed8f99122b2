/** Who a container runs as and what it may do: the pod's and the container's securityContext, and the image's user. */
import type {
  Container,
  PodSecurityContext,
  SeccompProfile,
  SecurityContext,
} from "../../../generated/kubernetes.ts";
import { describePod, type StoredPod } from "../../k8s/pod.ts";
import { dangerousCapabilities, grantedCapabilities } from "../sandbox/capabilities.ts";
import { type ContainerSpec, ContainerStartError } from "../sandbox/sandbox.ts";
import { ContainerConfigError } from "./config-error.ts";

export type Identity = Pick<
  ContainerSpec,
  "user" | "capabilities" | "noNewPrivileges" | "readOnlyRootFilesystem" | "privileged" | "seccomp"
>;

export interface SecurityFacts {
  readonly pod: StoredPod;
  readonly container: Container;
  /** `USER` of the image: `user`, `uid`, `user:group` or `uid:gid`; empty = root. */
  readonly imageUser: string;
  /** The image works as any user. */
  readonly isUserOptional?: boolean;
  readonly allowPrivileged: boolean;
  /** Containers have only one group, root's, and files cannot be given to others: `fsGroup` has nothing to act on. */
  readonly hasOneGroup?: boolean;
}

/** Throws `ContainerConfigError` for what must not start, `ContainerStartError` for what this runtime does not have. */
export function containerIdentity(facts: SecurityFacts): Identity {
  const { pod, container, imageUser } = facts;
  const ofPod: PodSecurityContext = pod.spec.securityContext ?? {};
  const own: SecurityContext = container.securityContext ?? {};
  const runAsUser = own.runAsUser ?? ofPod.runAsUser;
  const runAsGroup = own.runAsGroup ?? ofPod.runAsGroup;
  const privileged = own.privileged === true;
  if (!facts.allowPrivileged) refusePower(container);
  if (own.procMount === "Unmasked") refuseUnmasked(container);
  if ((own.runAsNonRoot ?? ofPod.runAsNonRoot) === true)
    verifyNonRoot(runAsUser, imageUser, `(pod: "${describePod(pod)}", container: ${container.name})`);

  const [imageUserName = "", imageGroup] = imageUser.split(":");
  const user = runAsUser === undefined ? imageUserName || "0" : String(runAsUser);
  const group = runAsGroup === undefined ? groupOfImage(runAsUser, imageGroup) : String(runAsGroup);
  const isImages = runAsUser === undefined && imageUserName !== "";
  const added = own.capabilities?.add ?? [];
  const fsGroup = facts.hasOneGroup === true ? undefined : ofPod.fsGroup;
  const supplementalGroups = [...new Set([...(ofPod.supplementalGroups ?? []), ...asList(fsGroup)])];
  return {
    user: {
      user,
      ...(group === undefined ? {} : { group }),
      supplementalGroups,
      ...(isImages ? { ofImage: runAsGroup === undefined ? ["user", "group"] : ["user"] } : {}),
      ...(isImages && facts.isUserOptional === true ? { isOptional: true } : {}),
      ...(ofPod.supplementalGroupsPolicy === "Strict" ? { supplementalGroupsPolicy: "Strict" } : {}),
    },
    capabilities: {
      add: facts.allowPrivileged ? added : grantedCapabilities(added),
      drop: own.capabilities?.drop ?? [],
    },
    noNewPrivileges: own.allowPrivilegeEscalation === false && !privileged,
    readOnlyRootFilesystem: own.readOnlyRootFilesystem === true,
    privileged,
    seccomp: seccompOf(own.seccompProfile ?? ofPod.seccompProfile, container),
  };
}

function seccompOf(
  profile: SeccompProfile | undefined,
  { name }: Container,
): "RuntimeDefault" | "Unconfined" {
  if (profile?.type !== "Localhost")
    return profile?.type === "RuntimeDefault" ? "RuntimeDefault" : "Unconfined";
  throw new ContainerStartError(
    "CreateContainerError",
    `failed to create container "${name}": seccomp profiles of type Localhost are not supported ` +
      `(localhostProfile "${profile.localhostProfile ?? ""}"). Use the type RuntimeDefault, or Unconfined`,
  );
}

function refuseUnmasked({ name }: Container): never {
  throw new ContainerStartError(
    "CreateContainerError",
    `failed to create container "${name}": procMount Unmasked is not supported: it is safe only in a user namespace of ` +
      "the pod's own, and hostUsers: false is not supported either. Remove securityContext.procMount",
  );
}

/** What would give the container power over this machine needs the cluster's consent. */
function refusePower({ name, securityContext }: Container): void {
  if (securityContext?.privileged === true) {
    throw new ContainerConfigError(
      `Cannot run container "${name}" privileged: the cluster does not allow it. ` +
        "Start the cluster with `pillion up --allow-privileged`, or remove `securityContext.privileged`",
    );
  }
  const dangerous = dangerousCapabilities(securityContext?.capabilities?.add ?? []);
  if (dangerous.length === 0) return;
  throw new ContainerConfigError(
    `Cannot give container "${name}" the capabilities ${dangerous.join(", ")}: with them it could change this machine. ` +
      "Start the cluster with `pillion up --allow-privileged`, or remove them from `securityContext.capabilities.add`",
  );
}

/** The image's group belongs to the image's user: another user has its own. */
function groupOfImage(runAsUser: number | undefined, imageGroup: string | undefined): string | undefined {
  return runAsUser === undefined && imageGroup !== "" ? imageGroup : undefined;
}

/** `verifyRunAsNonRoot`. */
function verifyNonRoot(runAsUser: number | undefined, imageUser: string, where: string): void {
  if (runAsUser !== undefined) {
    if (runAsUser === 0)
      throw new ContainerConfigError(`container's runAsUser breaks non-root policy ${where}`);
    return;
  }
  const [name = ""] = imageUser.split(":");
  if (name === "" || /^0+$/.test(name))
    throw new ContainerConfigError(`container has runAsNonRoot and image will run as root ${where}`);
  if (!/^\d+$/.test(name)) {
    throw new ContainerConfigError(
      `container has runAsNonRoot and image has non-numeric user (${name}), cannot verify user is non-root ${where}`,
    );
  }
}

function asList(value: number | undefined): number[] {
  return value === undefined ? [] : [value];
}
