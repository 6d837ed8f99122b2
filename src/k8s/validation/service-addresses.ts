/** Checks of a Service's cluster addresses and their families (core `ValidateServiceClusterIPsRelatedFields`). */
import type { ServiceSpec } from "../../../generated/kubernetes.ts";
import { duplicate, type FieldError, invalid, invalidEach, notSupported, required } from "../field-error.ts";
import { checkIp } from "../names.ts";
import { jsonEqual } from "../patch/json.ts";
import { isHeadless, NO_CLUSTER_IP } from "../service-type.ts";
import type { Unchecked } from "./unchecked.ts";

type Spec = Unchecked<ServiceSpec>;

const FAMILIES = ["IPv4", "IPv6"];
const POLICIES = ["PreferDualStack", "RequireDualStack", "SingleStack"];
const FIELD = "spec.clusterIPs";

export type IpFamily = "IPv4" | "IPv6";

/** Of a well-formed address. */
export function familyOfIp(ip: string): IpFamily {
  return ip.includes(":") ? "IPv6" : "IPv4";
}

/** `clusterIP` and `clusterIPs` say the same already. */
export function validateClusterIps(spec: Spec): FieldError[] {
  if (spec.type === "ExternalName") return [];
  const { clusterIPs: ips = [], ipFamilyPolicy: policy } = spec;
  const wrongIps = ips.flatMap((ip, index) => validateClusterIp(ip, index, ips));
  const errors = [...validateSync(spec), ...validateFamilies(spec)];
  if (policy !== undefined && !POLICIES.includes(policy))
    errors.push(notSupported("spec.ipFamilyPolicy", policy, POLICIES));
  errors.push(...wrongIps);
  if (ips.length > 2) errors.push(invalid(FIELD, ips, "may only hold up to 2 values"));
  if (wrongIps.length > 0) return errors;
  return [...errors, ...validateStacks(spec)];
}

function validateSync({ clusterIP = "", clusterIPs = [] }: Spec): FieldError[] {
  if (clusterIP === "") {
    if (clusterIPs.length === 0) return [];
    return [invalid(FIELD, clusterIPs, "must be empty when `clusterIP` is not specified")];
  }
  if (clusterIPs.length === 0) return [required(FIELD)];
  return clusterIPs[0] === clusterIP
    ? []
    : [invalid(FIELD, clusterIPs, "first value must match `clusterIP`")];
}

function validateFamilies({ ipFamilies = [] }: Spec): FieldError[] {
  return ipFamilies.flatMap((family, index) => {
    const at = `spec.ipFamilies[${index}]`;
    const errors = FAMILIES.includes(family) ? [] : [notSupported(at, family, FAMILIES)];
    return ipFamilies.indexOf(family) < index ? [...errors, duplicate(at, family)] : errors;
  });
}

function validateClusterIp(ip: string, index: number, ips: readonly string[]): FieldError[] {
  if (index > 0 || ip !== NO_CLUSTER_IP) return invalidEach(`${FIELD}[${index}]`, ip, checkIp(ip));
  return ips.length > 1 ? [invalid(FIELD, ips, "'None' must be the first and only value")] : [];
}

function validateStacks(spec: Spec): FieldError[] {
  const { clusterIPs: ips = [], ipFamilies = [] } = spec;
  const found = ips.map(familyOfIp);
  const errors: FieldError[] = [];
  if (new Set(found).size < found.length) {
    errors.push(invalid(FIELD, ips, "may specify no more than one IP for each IP family"));
  }
  if (isHeadless(spec)) return errors;
  for (const [index, ip] of ips.entries()) {
    const wanted = ipFamilies[index];
    if (wanted === undefined || wanted === found[index]) continue;
    const why = `expected an ${wanted} value as indicated by \`ipFamilies[${index}]\``;
    errors.push(invalid(`${FIELD}[${index}]`, ip, why));
  }
  return errors;
}

/** Addresses and families stay for the life of a Service, unless it is or becomes an ExternalName one. */
export function validateClusterIpsUpdate(spec: Spec, before: Spec): FieldError[] {
  if (spec.type === "ExternalName" || before.type === "ExternalName") return [];
  const areHeadless = isHeadless(spec) && isHeadless(before);
  return [
    ...(areHeadless ? [] : keptIps(spec.clusterIPs ?? [], before.clusterIPs ?? [])),
    ...(areHeadless ? [] : keptFamilies(spec.ipFamilies ?? [], before.ipFamilies ?? [])),
  ];
}

function keptIps(ips: readonly string[], before: readonly string[]): FieldError[] {
  if (before.length > 0 && ips.length === 0)
    return [invalid(`${FIELD}[0]`, ips, "primary clusterIP can not be unset")];
  const common = before.slice(0, ips.length);
  return common.flatMap((ip, index) =>
    ip === ips[index] ? [] : [invalid(`${FIELD}[${index}]`, ips, "may not change once set")],
  );
}

function keptFamilies(families: readonly string[], before: readonly string[]): FieldError[] {
  const at = "spec.ipFamilies[0]";
  if (jsonEqual(families[0], before[0]) || before.length === 0) return [];
  if (families.length === 0) return [invalid(at, families, "primary ipFamily can not be unset")];
  return [invalid(at, families, "may not change once set")];
}
