/** Checks of Services (core `ValidateService`), as far as one node can honour them. */
import type { Service, ServicePort, ServiceSpec } from "../../../generated/kubernetes.ts";
import {
  duplicate,
  type FieldError,
  forbidden,
  invalid,
  invalidEach,
  notSupported,
  required,
} from "../field-error.ts";
import { checkDns1123Label, checkDns1123Subdomain, checkIp, checkPortNumber } from "../names.ts";
import { validatePort } from "./handlers.ts";
import { validateLabels } from "./labels.ts";
import type { Unchecked } from "./unchecked.ts";

type Spec = Unchecked<ServiceSpec>;

const TYPES = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
const AFFINITIES = ["ClientIP", "None"];
const PROTOCOLS = ["SCTP", "TCP", "UDP"];
const MAX_AFFINITY_SECONDS = 86_400;

export function validateService({ spec = {} }: Unchecked<Service>): FieldError[] {
  const { ports = [], type } = spec;
  const isHeadless = spec.clusterIP === "None" || (spec.clusterIPs ?? []).includes("None");
  const errors: FieldError[] = [];
  if (ports.length === 0 && !isHeadless && type !== "ExternalName") errors.push(required("spec.ports"));
  if (isHeadless && (type === "LoadBalancer" || type === "NodePort")) {
    errors.push(invalid("spec.clusterIPs[0]", "None", `may not be set to 'None' for ${type} services`));
  }
  errors.push(...validateExternalName(spec), ...validatePorts(ports));
  errors.push(...validateLabels(spec.selector, "spec.selector"));
  errors.push(...oneOf(spec.sessionAffinity, AFFINITIES, "spec.sessionAffinity"), ...validateAffinity(spec));
  errors.push(...oneOf(type, TYPES, "spec.type"));
  for (const [index, ip] of (spec.externalIPs ?? []).entries()) {
    errors.push(...invalidEach(`spec.externalIPs[${index}]`, ip, checkIp(ip)));
  }
  if (type === "ClusterIP") errors.push(...forbidNodePorts(ports));
  return errors;
}

function oneOf(value: string | undefined, supported: readonly string[], path: string): FieldError[] {
  if (value === undefined || value === "") return [required(path)];
  return supported.includes(value) ? [] : [notSupported(path, value, supported)];
}

function validateExternalName({ type, externalName = "", clusterIP = "" }: Spec): FieldError[] {
  if (type !== "ExternalName") return [];
  const errors: FieldError[] = [];
  if (clusterIP !== "")
    errors.push(forbidden("spec.clusterIP", "may not be set when `type` is 'ExternalName'"));
  const name = externalName.replace(/\.$/, "");
  if (name === "") return [...errors, required("spec.externalName")];
  return [...errors, ...invalidEach("spec.externalName", externalName, checkDns1123Subdomain(name))];
}

function validateAffinity({ sessionAffinity, sessionAffinityConfig }: Spec): FieldError[] {
  if (sessionAffinity !== "ClientIP") return [];
  const seconds = sessionAffinityConfig?.clientIP?.timeoutSeconds ?? 1;
  if (seconds > 0 && seconds <= MAX_AFFINITY_SECONDS) return [];
  const message = `must be greater than 0 and less than ${MAX_AFFINITY_SECONDS}`;
  return [invalid("spec.sessionAffinityConfig.clientIP.timeoutSeconds", seconds, message)];
}

function validatePorts(ports: readonly Unchecked<ServicePort>[]): FieldError[] {
  const [names, pairs] = [new Set<string>(), new Set<string>()];
  return ports.flatMap(({ name = "", port = 0, protocol = "", targetPort, nodePort }, index) => {
    const at = `spec.ports[${index}]`;
    const errors: FieldError[] = [];
    if (name === "") {
      if (ports.length > 1) errors.push(required(`${at}.name`));
    } else {
      errors.push(...invalidEach(`${at}.name`, name, checkDns1123Label(name)));
      if (names.has(name)) errors.push(duplicate(`${at}.name`, name));
    }
    names.add(name);
    errors.push(...invalidEach(`${at}.port`, port, checkPortNumber(port)));
    errors.push(...oneOf(protocol, PROTOCOLS, `${at}.protocol`));
    if (targetPort !== undefined) errors.push(...validatePort(targetPort, `${at}.targetPort`));
    if (nodePort !== undefined && nodePort !== 0) {
      errors.push(...invalidEach(`${at}.nodePort`, nodePort, checkPortNumber(nodePort)));
    }
    const pair = `${protocol}/${port}`;
    if (pairs.has(pair)) errors.push(duplicate(at, { port, protocol }));
    pairs.add(pair);
    return errors;
  });
}

function forbidNodePorts(ports: readonly Unchecked<ServicePort>[]): FieldError[] {
  return ports.flatMap(({ nodePort = 0 }, index) =>
    nodePort === 0
      ? []
      : [forbidden(`spec.ports[${index}].nodePort`, "may not be used when `type` is 'ClusterIP'")],
  );
}
