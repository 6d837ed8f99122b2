/** Which address families a Service gets in a cluster that has IPv4 only (`initIPFamilyFields`). */
import type { ServiceSpec } from "../../../generated/kubernetes.ts";
import { type FieldError, invalid } from "../../k8s/field-error.ts";
import { isHeadless, NO_CLUSTER_IP } from "../../k8s/service-type.ts";
import { familyOfIp, validateClusterIps } from "../../k8s/validation/service-addresses.ts";

const CLUSTER_FAMILY = "IPv4";

/** Fills families and policy into `spec`; answers what keeps the addresses from being allocated. */
export function fillFamilies(spec: ServiceSpec): FieldError[] {
  if (spec.type === "ExternalName") return [];
  const errors = validateClusterIps(spec);
  if (errors.length === 0) errors.push(...inferFamilies(spec));
  if (errors.length > 0) return errors;
  if (isHeadless(spec) && Object.keys(spec.selector ?? {}).length === 0) {
    fillUnselected(spec);
    return [];
  }
  if (spec.ipFamilyPolicy === "RequireDualStack") {
    const why = "this cluster is not configured for dual-stack services";
    errors.push(invalid("spec.ipFamilyPolicy", spec.ipFamilyPolicy, why));
  }
  for (const [index, family] of (spec.ipFamilies ?? []).entries()) {
    if (family === CLUSTER_FAMILY) continue;
    errors.push(invalid(`spec.ipFamilies[${index}]`, family, "not configured on this cluster"));
  }
  if (errors.length > 0) return errors;
  if ((spec.ipFamilies ?? []).length === 0) spec.ipFamilies = [CLUSTER_FAMILY];
  spec.ipFamilyPolicy ??= "SingleStack";
  return [];
}

function inferFamilies(spec: ServiceSpec): FieldError[] {
  const { clusterIPs = [] } = spec;
  const families = [...(spec.ipFamilies ?? [])];
  const errors: FieldError[] = [];
  for (const [index, ip] of clusterIPs.entries()) {
    if (ip === NO_CLUSTER_IP || index < families.length) continue;
    const family = familyOfIp(ip);
    if (family === CLUSTER_FAMILY) families.push(family);
    else
      errors.push(
        invalid(`spec.clusterIPs[${index}]`, clusterIPs, `${family} is not configured on this cluster`),
      );
  }
  if (families.length > 0) spec.ipFamilies = families;
  return errors;
}

/** Whoever writes endpoints by hand may write any family. */
function fillUnselected(spec: ServiceSpec): void {
  spec.ipFamilyPolicy ??= "RequireDualStack";
  const [first = CLUSTER_FAMILY, ...rest] = spec.ipFamilies ?? [];
  const isSingle = spec.ipFamilyPolicy === "SingleStack" || rest.length > 0;
  spec.ipFamilies = isSingle ? [first, ...rest] : [first, first === "IPv4" ? "IPv6" : "IPv4"];
}
