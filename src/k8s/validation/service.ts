/** Checks of Services, new and changed (core `ValidateService`, `ValidateServiceUpdate`). */
import type { Service, ServiceSpec } from "../../../generated/kubernetes.ts";
import { type FieldError, forbidden, invalid, invalidEach, notSupported, required } from "../field-error.ts";
import { checkDns1123Subdomain, checkPortNumber, checkQualifiedName } from "../names.ts";
import {
  isExternallyAccessible,
  isHeadless,
  needsClusterIp,
  needsHealthCheckNodePort,
  NO_CLUSTER_IP,
} from "../service-type.ts";
import { validateCidr, validateReachableIp } from "./ip-fields.ts";
import { validateLabels } from "./labels.ts";
import { validateClusterIps, validateClusterIpsUpdate } from "./service-addresses.ts";
import { validateExposedPorts, validateServicePorts } from "./service-ports.ts";
import { requireOneOf } from "./one-of.ts";
import type { Unchecked } from "./unchecked.ts";

type Spec = Unchecked<ServiceSpec>;

const TYPES = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
const AFFINITIES = ["ClientIP", "None"];
const TRAFFIC_POLICIES = ["Cluster", "Local"];
const DISTRIBUTIONS = ["PreferClose", "PreferSameNode", "PreferSameZone"];
const MAX_AFFINITY_SECONDS = 86_400;
const FOR_BALANCERS_ONLY = "may only be used when `type` is 'LoadBalancer'";
const HEALTH_CHECK_PORT = "spec.healthCheckNodePort";

export function validateService({ spec = {} }: Unchecked<Service>): FieldError[] {
  const { ports = [], type } = spec;
  const errors: FieldError[] = [];
  if (ports.length === 0 && !isHeadless(spec) && type !== "ExternalName") errors.push(required("spec.ports"));
  errors.push(...validateOfType(spec), ...validateServicePorts(ports, type));
  errors.push(...validateLabels(spec.selector, "spec.selector"));
  errors.push(
    ...requireOneOf(spec.sessionAffinity, AFFINITIES, "spec.sessionAffinity"),
    ...validateAffinity(spec),
  );
  errors.push(...validateClusterIps(spec), ...validateExternalIps(spec));
  errors.push(...requireOneOf(type, TYPES, "spec.type"), ...validateBalancer(spec));
  return [...errors, ...validateTrafficPolicies(spec)];
}

/** Also for the ports of a Service that was a load balancer already. */
export function validateServiceUpdate(service: Unchecked<Service>, before: Unchecked<Service>): FieldError[] {
  const [spec, old] = [service.spec ?? {}, before.spec ?? {}];
  const errors = validateClusterIpsUpdate(spec, old);
  const areBalancers = spec.type === "LoadBalancer" && old.type === "LoadBalancer";
  if (areBalancers && spec.loadBalancerClass !== old.loadBalancerClass) {
    errors.push(invalid("spec.loadBalancerClass", spec.loadBalancerClass ?? null, "may not change once set"));
  }
  const areChecked = needsHealthCheckNodePort(spec) && needsHealthCheckNodePort(old);
  if (areChecked && spec.healthCheckNodePort !== old.healthCheckNodePort) {
    errors.push(forbidden(HEALTH_CHECK_PORT, "field is immutable"));
  }
  return [...errors, ...validateService(service)];
}

function validateOfType(spec: Spec): FieldError[] {
  const { type, ports = [] } = spec;
  if (type === "ExternalName") return validateExternalName(spec);
  if (type !== "LoadBalancer" && type !== "NodePort") return [];
  const errors = type === "LoadBalancer" ? validateExposedPorts(ports) : [];
  if (!isHeadless(spec)) return errors;
  const why = `may not be set to 'None' for ${type} services`;
  return [...errors, invalid("spec.clusterIPs[0]", NO_CLUSTER_IP, why)];
}

function validateExternalName(spec: Spec): FieldError[] {
  const { externalName = "", clusterIP = "", clusterIPs = [], ipFamilies = [], ipFamilyPolicy } = spec;
  const why = "may not be set for ExternalName services";
  const errors: FieldError[] = [];
  if (clusterIPs.length > 0) errors.push(forbidden("spec.clusterIPs", why));
  // Upstream overlooks an update that says this field alone, and stores an address that may be another Service's.
  else if (clusterIP !== "") errors.push(forbidden("spec.clusterIP", why));
  if (ipFamilies.length > 0) errors.push(forbidden("spec.ipFamilies", why));
  if (ipFamilyPolicy !== undefined) errors.push(forbidden("spec.ipFamilyPolicy", why));
  const name = externalName.replace(/\.$/, "");
  if (name === "") return [...errors, required("spec.externalName")];
  return [...errors, ...invalidEach("spec.externalName", name, checkDns1123Subdomain(name))];
}

function validateAffinity({ sessionAffinity, sessionAffinityConfig: config }: Spec): FieldError[] {
  const at = "spec.sessionAffinityConfig";
  if (sessionAffinity === "None" && config !== undefined)
    return [forbidden(at, "must not be set when session affinity is None")];
  if (sessionAffinity !== "ClientIP") return [];
  const message = "when session affinity type is ClientIP";
  if (config === undefined) return [required(at, message)];
  if (config.clientIP === undefined) return [required(`${at}.clientIP`, message)];
  const { timeoutSeconds } = config.clientIP;
  if (timeoutSeconds === undefined) return [required(`${at}.clientIP.timeoutSeconds`, message)];
  if (timeoutSeconds > 0 && timeoutSeconds <= MAX_AFFINITY_SECONDS) return [];
  const why = `must be greater than 0 and less than ${MAX_AFFINITY_SECONDS}`;
  return [invalid(`${at}.clientIP.timeoutSeconds`, timeoutSeconds, why)];
}

function validateExternalIps({ externalIPs = [] }: Spec): FieldError[] {
  return externalIPs.flatMap((ip, index) => validateReachableIp(ip, `spec.externalIPs[${index}]`));
}

function validateBalancer(spec: Spec): FieldError[] {
  const { type, loadBalancerSourceRanges: ranges = [], loadBalancerClass } = spec;
  if (type === "LoadBalancer") {
    const errors = ranges.flatMap((range, index) =>
      validateCidr(range.trim(), `spec.LoadBalancerSourceRanges[${index}]`),
    );
    if (loadBalancerClass === undefined) return errors;
    const wrong = checkQualifiedName(loadBalancerClass);
    return [...errors, ...invalidEach("spec.loadBalancerClass", loadBalancerClass, wrong)];
  }
  const errors: FieldError[] = [];
  if (ranges.length > 0) errors.push(forbidden("spec.LoadBalancerSourceRanges", FOR_BALANCERS_ONLY));
  if (spec.allocateLoadBalancerNodePorts !== undefined)
    errors.push(forbidden("spec.allocateLoadBalancerNodePorts", FOR_BALANCERS_ONLY));
  if (loadBalancerClass !== undefined) errors.push(forbidden("spec.loadBalancerClass", FOR_BALANCERS_ONLY));
  return errors;
}

function validateTrafficPolicies(spec: Spec): FieldError[] {
  const { internalTrafficPolicy, trafficDistribution } = spec;
  const errors = [...validateExternalPolicy(spec), ...validateHealthCheckPort(spec)];
  if (needsClusterIp(spec) || internalTrafficPolicy !== undefined)
    errors.push(...requireOneOf(internalTrafficPolicy, TRAFFIC_POLICIES, "spec.internalTrafficPolicy"));
  if (trafficDistribution !== undefined && !DISTRIBUTIONS.includes(trafficDistribution))
    errors.push(notSupported("spec.trafficDistribution", trafficDistribution, DISTRIBUTIONS));
  return errors;
}

function validateExternalPolicy(spec: Spec): FieldError[] {
  const { externalTrafficPolicy: policy = "" } = spec;
  const at = "spec.externalTrafficPolicy";
  if (isExternallyAccessible(spec)) return requireOneOf(policy, TRAFFIC_POLICIES, at);
  return policy === "" ? [] : [invalid(at, policy, "may only be set for externally-accessible services")];
}

function validateHealthCheckPort(spec: Spec): FieldError[] {
  const { healthCheckNodePort: port = 0 } = spec;
  if (needsHealthCheckNodePort(spec)) {
    if (port === 0) return [required(HEALTH_CHECK_PORT)];
    return invalidEach(HEALTH_CHECK_PORT, port, checkPortNumber(port));
  }
  const why = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'";
  return port === 0 ? [] : [invalid(HEALTH_CHECK_PORT, port, why)];
}
