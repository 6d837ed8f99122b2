/** Checks of Ingresses and their classes (networking `ValidateIngressSpec`, `ValidateIngressClass`). */
import type {
  HTTPIngressPath,
  Ingress,
  IngressBackend,
  IngressClass,
  IngressClassParametersReference,
  IngressServiceBackend,
  IngressTLS,
  TypedLocalObjectReference,
} from "../../../generated/kubernetes.ts";
import {
  type FieldError,
  forbidden,
  invalid,
  invalidEach,
  notSupported,
  required,
  tooLong,
} from "../field-error.ts";
import {
  byteLength,
  checkDns1035Label,
  checkDns1123Label,
  checkDns1123Subdomain,
  checkPathSegment,
  checkPortName,
  checkPortNumber,
  checkWildcardDomain,
  isIp,
} from "../names.ts";
import { validateDomainPath } from "./domain-path.ts";
import { validateImmutable } from "./immutable.ts";
import type { Unchecked } from "./unchecked.ts";

const CLASS_ANNOTATION = "kubernetes.io/ingress.class";
const LONGEST_CONTROLLER = 250;
const PATH_TYPES = ["Exact", "ImplementationSpecific", "Prefix"];
const BAD_SEQUENCES = ["//", "/./", "/../", "%2f", "%2F"];
const BAD_ENDS = ["/..", "/."];
const SCOPES = ["Cluster", "Namespace"];

export function validateIngress(ingress: Unchecked<Ingress>): FieldError[] {
  const errors = validateIngressUpdate(ingress);
  const { ingressClassName: name } = ingress.spec ?? {};
  const annotated = ingress.metadata?.annotations?.[CLASS_ANNOTATION];
  if (name === undefined || annotated === undefined || annotated === name) return errors;
  const why = "must match `ingressClassName` when both are specified";
  return [...errors, invalid(`annotations.${CLASS_ANNOTATION}`, annotated, why)];
}

export function validateIngressUpdate({ spec = {} }: Unchecked<Ingress>): FieldError[] {
  const { rules = [], defaultBackend, tls = [], ingressClassName } = spec;
  const errors: FieldError[] = [];
  if (rules.length === 0 && defaultBackend === undefined)
    errors.push(invalid("spec", null, "either `defaultBackend` or `rules` must be specified"));
  if (defaultBackend !== undefined) errors.push(...validateBackend(defaultBackend, "spec.defaultBackend"));
  for (const [index, { host = "", http }] of rules.entries()) {
    const at = `spec.rules[${index}]`;
    if (host !== "") {
      if (isIp(host)) errors.push(invalid(`${at}.host`, host, "must be a DNS name, not an IP address"));
      errors.push(...validateHost(host, `${at}.host`));
    }
    if (http === undefined) continue;
    const { paths = [] } = http;
    if (paths.length === 0) errors.push(required(`${at}.http.paths`));
    errors.push(...paths.flatMap((path, nth) => validatePath(path, `${at}.http.paths[${nth}]`)));
  }
  errors.push(...tls.flatMap((one, index) => validateTls(one, `spec.tls[${index}]`)));
  if (ingressClassName === undefined) return errors;
  const wrong = checkDns1123Subdomain(ingressClassName);
  return [...errors, ...invalidEach("spec.ingressClassName", ingressClassName, wrong)];
}

function validateHost(host: string, field: string): FieldError[] {
  return invalidEach(
    field,
    host,
    host.includes("*") ? checkWildcardDomain(host) : checkDns1123Subdomain(host),
  );
}

function validateTls({ hosts = [], secretName = "" }: Unchecked<IngressTLS>, path: string): FieldError[] {
  const errors = hosts.flatMap((host, index) => validateHost(host, `${path}.hosts[${index}]`));
  if (secretName === "") return errors;
  return [...errors, ...invalidEach(`${path}.secretName`, secretName, checkDns1123Subdomain(secretName))];
}

function validatePath(
  { path = "", pathType, backend = {} }: Unchecked<HTTPIngressPath>,
  at: string,
): FieldError[] {
  if (pathType === undefined) return [required(`${at}.pathType`, "pathType must be specified")];
  const errors: FieldError[] = [];
  const wrong = (why: string) => errors.push(invalid(`${at}.path`, path, why));
  if (!PATH_TYPES.includes(pathType)) errors.push(notSupported(`${at}.pathType`, pathType, PATH_TYPES));
  else if (pathType === "ImplementationSpecific") {
    if (path !== "" && !path.startsWith("/")) wrong("must be an absolute path");
  } else {
    if (!path.startsWith("/")) wrong("must be an absolute path");
    for (const bad of BAD_SEQUENCES) if (path.includes(bad)) wrong(`must not contain '${bad}'`);
    for (const bad of BAD_ENDS) if (path.endsWith(bad)) wrong(`cannot end with '${bad}'`);
  }
  return [...errors, ...validateBackend(backend, `${at}.backend`)];
}

function validateBackend({ service, resource }: Unchecked<IngressBackend>, path: string): FieldError[] {
  if (service !== undefined && resource !== undefined)
    return [invalid(path, "", "cannot set both resource and service backends")];
  if (resource !== undefined) return validateReference(resource, `${path}.resource`);
  if (service !== undefined) return validateServiceBackend(service, path);
  return [invalid(path, "", "resource or service backend is required")];
}

function validateServiceBackend(
  { name = "", port = {} }: Unchecked<IngressServiceBackend>,
  path: string,
): FieldError[] {
  const field = `${path}.service.name`;
  const errors = name === "" ? [required(field)] : invalidEach(field, name, checkDns1035Label(name));
  const { name: portName = "", number = 0 } = port;
  if (portName !== "" && number !== 0)
    return [...errors, invalid(path, "", "cannot set both port name & port number")];
  if (portName !== "")
    return [...errors, ...invalidEach(`${path}.service.port.name`, portName, checkPortName(portName))];
  if (number === 0) return [...errors, required(path, "port name or number is required")];
  return [...errors, ...invalidEach(`${path}.service.port.number`, number, checkPortNumber(number))];
}

function validateReference(
  { apiGroup, kind = "", name = "" }: Unchecked<TypedLocalObjectReference>,
  path: string,
): FieldError[] {
  const errors =
    apiGroup === undefined ? [] : invalidEach(`${path}.apiGroup`, apiGroup, checkDns1123Subdomain(apiGroup));
  for (const [field, value] of Object.entries({ kind, name })) {
    const at = `${path}.${field}`;
    errors.push(...(value === "" ? [required(at)] : invalidEach(at, value, checkPathSegment(value))));
  }
  return errors;
}

export function validateIngressClass({ spec = {} }: Unchecked<IngressClass>): FieldError[] {
  const { controller = "", parameters } = spec;
  const field = "spec.controller";
  const errors = byteLength(controller) > LONGEST_CONTROLLER ? [tooLong(field, LONGEST_CONTROLLER)] : [];
  errors.push(...validateDomainPath(controller, field));
  return parameters === undefined ? errors : [...errors, ...validateParameters(parameters)];
}

function validateParameters(parameters: Unchecked<IngressClassParametersReference>): FieldError[] {
  const path = "spec.parameters";
  const { scope, namespace } = parameters;
  const errors = validateReference(parameters, path);
  if (scope === undefined) return [...errors, required(`${path}.scope`)];
  if (!SCOPES.includes(scope)) return [...errors, notSupported(`${path}.scope`, scope, SCOPES)];
  const field = `${path}.namespace`;
  if (scope === "Cluster") {
    return namespace === undefined
      ? errors
      : [...errors, forbidden(field, "`parameters.scope` is set to 'Cluster'")];
  }
  if (namespace === undefined)
    return [...errors, required(field, "`parameters.scope` is set to 'Namespace'")];
  return [...errors, ...invalidEach(field, namespace, checkDns1123Label(namespace))];
}

export function validateIngressClassUpdate(
  one: Unchecked<IngressClass>,
  before: Unchecked<IngressClass>,
): FieldError[] {
  return [
    ...validateIngressClass(one),
    ...validateImmutable("spec.controller", one.spec?.controller, before.spec?.controller),
  ];
}
