/** Checks of security contexts of pods and containers (core `validation.go`). */
import type {
  AppArmorProfile,
  PodSecurityContext,
  PodSpec,
  SeccompProfile,
  SecurityContext,
  Sysctl,
} from "../../../generated/kubernetes.ts";
import {
  duplicate,
  type FieldError,
  forbidden,
  invalid,
  invalidEach,
  notSupported,
  required,
} from "../field-error.ts";
import { checkUserId } from "../names.ts";
import { validateDescendingPath } from "./local-path.ts";
import { allowOneOf } from "./one-of.ts";
import type { Unchecked } from "./unchecked.ts";

const PROFILE_TYPES = ["Localhost", "RuntimeDefault", "Unconfined"];
const SYSCTL_SEGMENT = "[a-z0-9]([-_a-z0-9]*[a-z0-9])?";
const SYSCTL = `^(${SYSCTL_SEGMENT}[\\./])*${SYSCTL_SEGMENT}$`;

function validateId(id: number | undefined, path: string): FieldError[] {
  return id === undefined ? [] : invalidEach(path, id, checkUserId(id));
}

function validateSeccomp(profile: Unchecked<SeccompProfile> | undefined, path: string): FieldError[] {
  if (profile === undefined) return [];
  const { type = "", localhostProfile } = profile;
  const errors =
    type === ""
      ? [required(`${path}.type`, "type is required when seccompProfile is set")]
      : allowOneOf(type, PROFILE_TYPES, `${path}.type`);
  const field = `${path}.localhostProfile`;
  if (type !== "Localhost") {
    if (localhostProfile === undefined) return errors;
    return [...errors, invalid(field, profile, "can only be set when seccomp type is Localhost")];
  }
  if (localhostProfile === undefined)
    return [...errors, required(field, "must be set when seccomp type is Localhost")];
  return [...errors, ...validateDescendingPath(localhostProfile, field)];
}

function validateAppArmor(profile: Unchecked<AppArmorProfile> | undefined, path: string): FieldError[] {
  if (profile === undefined) return [];
  const { type = "", localhostProfile } = profile;
  const field = `${path}.localhostProfile`;
  if (type === "") return [required(`${path}.type`, "type is required when appArmorProfile is set")];
  if (!PROFILE_TYPES.includes(type)) return [notSupported(`${path}.type`, type, PROFILE_TYPES)];
  if (type !== "Localhost") {
    if (localhostProfile === undefined) return [];
    return [invalid(field, localhostProfile, "can only be set when AppArmor type is Localhost")];
  }
  if (localhostProfile === undefined || localhostProfile === "") {
    return [required(field, "must be set when AppArmor type is Localhost")];
  }
  const padded = localhostProfile.trim() !== localhostProfile;
  return padded ? [invalid(field, localhostProfile, "must not be padded with whitespace")] : [];
}

export interface ContainerSecurityPlace {
  readonly path: string;
  readonly hostUsers: boolean;
}

export function validateSecurityContext(
  context: Unchecked<SecurityContext> | undefined,
  { path, hostUsers }: ContainerSecurityPlace,
): FieldError[] {
  if (context === undefined) return [];
  const { privileged, allowPrivilegeEscalation, capabilities, procMount } = context;
  const errors = [
    ...validateId(context.runAsUser, `${path}.runAsUser`),
    ...validateId(context.runAsGroup, `${path}.runAsGroup`),
    ...allowOneOf(procMount, ["Default", "Unmasked"], `${path}.procMount`),
  ];
  if (hostUsers && procMount === "Unmasked") {
    errors.push(invalid(`${path}.procMount`, procMount, "`hostUsers` must be false to use `Unmasked`"));
  }
  errors.push(...validateSeccomp(context.seccompProfile, `${path}.seccompProfile`));
  if (allowPrivilegeEscalation === false) {
    const clash = "cannot set `allowPrivilegeEscalation` to false and";
    if (privileged === true) errors.push(invalid(path, context, `${clash} \`privileged\` to true`));
    if (capabilities?.add?.includes("CAP_SYS_ADMIN") === true) {
      errors.push(invalid(path, context, `${clash} \`capabilities.Add\` CAP_SYS_ADMIN`));
    }
  }
  return [...errors, ...validateAppArmor(context.appArmorProfile, `${path}.appArmorProfile`)];
}

function validateSysctls(sysctls: readonly Unchecked<Sysctl>[], path: string): FieldError[] {
  const taken = new Set<string>();
  const pattern = new RegExp(SYSCTL);
  return sysctls.flatMap(({ name = "" }, index) => {
    const field = `${path}[${index}].name`;
    if (name === "") return [required(field)];
    if (name.length > 253 || !pattern.test(name)) {
      return [invalid(field, name, `must have at most 253 characters and match regex ${SYSCTL}`)];
    }
    const again = taken.has(name);
    taken.add(name);
    return again ? [duplicate(field, name)] : [];
  });
}

/** `path` is that of the pod's specification. */
export function validatePodSecurity(spec: Unchecked<PodSpec>, path: string): FieldError[] {
  const context: Unchecked<PodSecurityContext> = spec.securityContext ?? {};
  const at = `${path}.securityContext`;
  const groups = context.supplementalGroups ?? [];
  const errors = [
    ...validateId(context.fsGroup, `${at}.fsGroup`),
    ...validateId(context.runAsUser, `${at}.runAsUser`),
    ...validateId(context.runAsGroup, `${at}.runAsGroup`),
    ...groups.flatMap((id, index) => validateId(id, `${at}.supplementalGroups[${index}]`)),
  ];
  if (spec.shareProcessNamespace === true && spec.hostPID === true) {
    const message = "ShareProcessNamespace and HostPID cannot both be enabled";
    errors.push(invalid(`${at}.shareProcessNamespace`, true, message));
  }
  return [
    ...errors,
    ...validateSysctls(context.sysctls ?? [], `${at}.sysctls`),
    ...allowOneOf(context.fsGroupChangePolicy, ["Always", "OnRootMismatch"], `${at}.fsGroupChangePolicy`),
    ...validateSeccomp(context.seccompProfile, `${at}.seccompProfile`),
    ...validateAppArmor(context.appArmorProfile, `${at}.appArmorProfile`),
    ...allowOneOf(context.supplementalGroupsPolicy, ["Merge", "Strict"], `${at}.supplementalGroupsPolicy`),
    ...allowOneOf(context.seLinuxChangePolicy, ["MountOption", "Recursive"], `${at}.seLinuxChangePolicy`),
    ...validateHostUsers(spec, path),
  ];
}

/** A user namespace of its own goes with no namespace of the host's. */
function validateHostUsers(
  { hostUsers, hostNetwork, hostPID, hostIPC }: Unchecked<PodSpec>,
  path: string,
): FieldError[] {
  if (hostUsers !== false) return [];
  const shared = { hostNetwork, HostPID: hostPID, HostIPC: hostIPC };
  return Object.entries(shared)
    .filter(([, isShared]) => isShared === true)
    .map(([name]) => forbidden(`${path}.${name}`, "when `pod.Spec.HostUsers` is false"));
}
