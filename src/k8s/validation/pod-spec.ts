/** Checks of a pod's specification, alone or in a template (core `ValidatePodSpec`). */
import type { HostAlias, PodDNSConfig, PodSpec, Volume } from "../../../generated/kubernetes.ts";
import { type FieldError, forbidden, invalid, invalidEach, required, tooLong } from "../field-error.ts";
import {
  checkDns1123Label,
  checkDns1123Subdomain,
  checkIp,
  checkQualifiedName,
  checkRange,
  type NameCheck,
} from "../names.ts";
import type { PodFacts } from "./container.ts";
import {
  validateEphemeralContainers,
  validateInitContainers,
  validateMainContainers,
} from "./container-lists.ts";
import { validateLabels } from "./labels.ts";
import { validatePodResources } from "./resources.ts";
import {
  validateAffinity,
  validateSchedulingGates,
  validateSpread,
  validateTolerations,
} from "./scheduling.ts";
import { validatePodSecurity } from "./security.ts";
import { requireOneOf } from "./one-of.ts";
import type { Unchecked } from "./unchecked.ts";
import { validateVolumes } from "./volumes.ts";

type Spec = Unchecked<PodSpec>;

const RESTART_POLICIES = ["Always", "OnFailure", "Never"];
const DNS_POLICIES = ["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"];
const PREEMPTION_POLICIES = ["PreemptLowerPriority", "Never"];
const MAX_INT32 = 2 ** 31 - 1;
const MAX_NAMESERVERS = 3;
const MAX_SEARCHES = 32;
const MAX_SEARCH_CHARS = 2048;
const MAX_KERNEL_HOSTNAME = 64;

export interface PodSpecPlace {
  readonly path: string;
  /** False for templates. */
  readonly isPod: boolean;
  /** Empty for templates. */
  readonly podName: string;
  /** What containers may mount besides the specification's own, which give way to them. */
  readonly furtherVolumes?: readonly Unchecked<Volume>[];
}

export function validatePodSpec(
  spec: Spec,
  { path, isPod, podName, furtherVolumes = [] }: PodSpecPlace,
): FieldError[] {
  const { containers: main = [], initContainers: init = [], ephemeralContainers: ephemeral = [] } = spec;
  const volumes = validateVolumes(spec.volumes ?? [], { path: `${path}.volumes`, podName });
  const pod: PodFacts = {
    volumes: new Map([...volumes.valid, ...furtherVolumes.map((one) => [one.name ?? "", one] as const)]),
    grace: spec.terminationGracePeriodSeconds,
    hostUsers: spec.hostUsers !== false,
    osName: spec.os?.name,
    isPod,
  };
  const { resources } = spec;
  return [
    ...(pod.grace === undefined ? [required(`${path}.terminationGracePeriodSeconds`)] : []),
    ...volumes.errors,
    ...validateMainContainers(main, `${path}.containers`, pod),
    ...validateInitContainers({ init, main }, `${path}.initContainers`, pod),
    ...validateEphemeralContainers({ ephemeral, init, main }, `${path}.ephemeralContainers`, pod),
    ...(resources === undefined ? [] : validatePodResources(resources, main, `${path}.resources`)),
    ...validateHostNetwork(spec, path, isPod),
    ...requireOneOf(spec.restartPolicy, RESTART_POLICIES, `${path}.restartPolicy`),
    ...requireOneOf(spec.dnsPolicy, DNS_POLICIES, `${path}.dnsPolicy`),
    ...validateLabels(spec.nodeSelector, `${path}.nodeSelector`),
    ...validatePodSecurity(spec, path),
    ...validateAffinity(spec.affinity ?? {}, `${path}.affinity`),
    ...validateDns(spec, `${path}.dnsConfig`),
    ...(spec.readinessGates ?? []).flatMap(({ conditionType = "" }, index) =>
      invalidEach(
        `${path}.readinessGates[${index}].conditionType`,
        conditionType,
        checkQualifiedName(conditionType),
      ),
    ),
    ...validateSchedulingGates(spec.schedulingGates ?? [], `${path}.schedulingGates`),
    ...validateSpread(spec.topologySpreadConstraints ?? [], `${path}.topologySpreadConstraints`),
    ...validateNames(spec, path),
    ...validateTolerations(spec.tolerations ?? [], `${path}.tolerations`),
    ...validateHostAliases(spec.hostAliases ?? [], `${path}.hostAliases`),
    ...validateRest(spec, path),
  ];
}

/** In the host's network a container's port is the host's, so it cannot be another one. */
function validateHostNetwork(
  { hostNetwork, containers = [] }: Spec,
  path: string,
  isPod: boolean,
): FieldError[] {
  if (hostNetwork !== true) return [];
  return containers.flatMap(({ ports = [] }, index) =>
    ports.flatMap(({ hostPort = 0, containerPort = 0 }, nth) => {
      if (hostPort === containerPort || (!isPod && hostPort === 0)) return [];
      const field = `${path}.containers[${index}].ports[${nth}].hostPort`;
      return [invalid(field, hostPort, "must match `containerPort` when `hostNetwork` is true")];
    }),
  );
}

function validateDns({ dnsPolicy, dnsConfig }: Spec, path: string): FieldError[] {
  if (dnsPolicy === "None") {
    if (dnsConfig === undefined) return [required(path, "must provide `dnsConfig` when `dnsPolicy` is None")];
    if ((dnsConfig.nameservers ?? []).length === 0) {
      const message = "must provide at least one DNS nameserver when `dnsPolicy` is None";
      return [required(`${path}.nameservers`, message)];
    }
  }
  return dnsConfig === undefined ? [] : validateDnsConfig(dnsConfig, path);
}

function validateDnsConfig(
  { nameservers = [], searches = [], options = [] }: Unchecked<PodDNSConfig>,
  path: string,
): FieldError[] {
  const errors: FieldError[] = [];
  if (nameservers.length > MAX_NAMESERVERS) {
    const message = `must not have more than ${MAX_NAMESERVERS} nameservers`;
    errors.push(invalid(`${path}.nameservers`, nameservers, message));
  }
  for (const [index, server] of nameservers.entries()) {
    errors.push(...invalidEach(`${path}.nameservers[${index}]`, server, checkIp(server)));
  }
  if (searches.length > MAX_SEARCHES) {
    errors.push(
      invalid(`${path}.searches`, searches, `must not have more than ${MAX_SEARCHES} search paths`),
    );
  }
  if (searches.join(" ").length > MAX_SEARCH_CHARS) {
    const message = `must not have more than ${MAX_SEARCH_CHARS} characters (including spaces) in the search list`;
    errors.push(invalid(`${path}.searches`, searches, message));
  }
  for (const [index, search] of searches.entries()) {
    const name = search.replace(/\.$/, "");
    // Underscores are common in search paths; for the check they are letters.
    const wrong = search === "." ? [] : checkDns1123Subdomain(name.replaceAll("_", "x"));
    errors.push(...invalidEach(`${path}.searches[${index}]`, name, wrong));
  }
  for (const [index, { name = "" }] of options.entries()) {
    if (name === "") errors.push(required(`${path}.options[${index}]`, "must not be empty"));
  }
  return errors;
}

function validateNames(spec: Spec, path: string): FieldError[] {
  const checks: readonly (readonly [keyof Spec, NameCheck])[] = [
    ["serviceAccountName", checkDns1123Subdomain],
    ["nodeName", checkDns1123Subdomain],
    ["hostname", checkDns1123Label],
    ["subdomain", checkDns1123Label],
    ["priorityClassName", checkDns1123Subdomain],
    ["runtimeClassName", checkDns1123Subdomain],
    ["hostnameOverride", checkDns1123Subdomain],
  ];
  const errors = checks.flatMap(([field, check]) => {
    const value = spec[field];
    return typeof value === "string" && value !== ""
      ? invalidEach(`${path}.${field}`, value, check(value))
      : [];
  });
  return [...errors, ...validateHostnameOverride(spec, `${path}.hostnameOverride`)];
}

/** The kernel takes no longer name, and there is only one that can be in it (KEP-4762). */
function validateHostnameOverride(
  { hostnameOverride = "", setHostnameAsFQDN, hostNetwork }: Spec,
  path: string,
): FieldError[] {
  if (hostnameOverride === "") return [];
  const errors: FieldError[] = [];
  if (hostnameOverride.length > MAX_KERNEL_HOSTNAME) errors.push(tooLong(path, MAX_KERNEL_HOSTNAME));
  if (setHostnameAsFQDN === true)
    errors.push(forbidden(path, "may not be specified when `setHostnameAsFQDN` is true"));
  if (hostNetwork === true) errors.push(forbidden(path, "may not be specified when `hostNetwork` is true"));
  return errors;
}

function validateHostAliases(aliases: readonly Unchecked<HostAlias>[], path: string): FieldError[] {
  return aliases.flatMap(({ ip = "", hostnames = [] }, index) => [
    ...invalidEach(`${path}[${index}].ip`, ip, checkIp(ip)),
    ...hostnames.flatMap((name, nth) =>
      invalidEach(`${path}[${index}].hostnames[${nth}]`, name, checkDns1123Subdomain(name)),
    ),
  ]);
}

function validateRest(
  { activeDeadlineSeconds: deadline, preemptionPolicy, os }: Spec,
  path: string,
): FieldError[] {
  const errors: FieldError[] = [];
  if (deadline !== undefined) {
    errors.push(
      ...invalidEach(`${path}.activeDeadlineSeconds`, deadline, checkRange(deadline, 1, MAX_INT32)),
    );
  }
  if (preemptionPolicy !== undefined) {
    errors.push(...requireOneOf(preemptionPolicy, PREEMPTION_POLICIES, `${path}.preemptionPolicy`));
  }
  if (os !== undefined) errors.push(...requireOneOf(os.name, ["linux", "windows"], `${path}.os.name`));
  return errors;
}
