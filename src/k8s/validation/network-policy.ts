/** Checks of NetworkPolicies (networking `ValidateNetworkPolicySpec`). */
import type {
  IPBlock,
  NetworkPolicyPeer,
  NetworkPolicyPort,
  NetworkPolicySpec,
} from "../../../generated/kubernetes.ts";
import { type FieldError, forbidden, invalid, invalidEach, required } from "../field-error.ts";
import { checkPortName, checkPortNumber } from "../names.ts";
import { prefixLength, validateCidr } from "./ip-fields.ts";
import { validateLabelSelector } from "./labels.ts";
import { allowOneOf } from "./one-of.ts";
import type { Unchecked } from "./unchecked.ts";
import type { Has } from "./workloads.ts";

const PROTOCOLS = ["TCP", "UDP", "SCTP"];
const DIRECTIONS = ["Ingress", "Egress"];

export function validateNetworkPolicy({ spec = {} }: Has<NetworkPolicySpec>): FieldError[] {
  const { ingress = [], egress = [], policyTypes: types = [] } = spec;
  const errors = validateLabelSelector(spec.podSelector, "spec.podSelector");
  for (const [index, { from = [], ports = [] }] of ingress.entries())
    errors.push(...validateRule({ peers: from, ports, list: "from" }, `spec.ingress[${index}]`));
  for (const [index, { to = [], ports = [] }] of egress.entries())
    errors.push(...validateRule({ peers: to, ports, list: "to" }, `spec.egress[${index}]`));
  if (types.length > DIRECTIONS.length) {
    return [...errors, invalid("spec.policyTypes", types, "may not specify more than two policyTypes")];
  }
  const unknown = types.flatMap((type, index) => allowOneOf(type, DIRECTIONS, `spec.policyTypes[${index}]`));
  return [...errors, ...unknown];
}

interface Rule {
  readonly peers: readonly Unchecked<NetworkPolicyPeer>[];
  readonly ports: readonly Unchecked<NetworkPolicyPort>[];
  /** What the rule calls its peers. */
  readonly list: "from" | "to";
}

function validateRule({ peers, ports, list }: Rule, path: string): FieldError[] {
  return [
    ...ports.flatMap((port, index) => validatePort(port, `${path}.ports[${index}]`)),
    ...peers.flatMap((peer, index) => validatePeer(peer, `${path}.${list}[${index}]`)),
  ];
}

function validatePort({ protocol, port, endPort }: Unchecked<NetworkPolicyPort>, path: string): FieldError[] {
  const errors = allowOneOf(protocol, PROTOCOLS, `${path}.protocol`);
  const at = `${path}.port`;
  if (typeof port === "string") errors.push(...invalidEach(at, port, checkPortName(port)));
  else if (port !== undefined) errors.push(...invalidEach(at, port, checkPortNumber(port)));
  if (endPort === undefined) return errors;
  const wrong = (why: string) => invalid(`${path}.endPort`, endPort, why);
  if (port === undefined) return [...errors, wrong("may not be specified when `port` is not specified")];
  if (typeof port === "string") return [...errors, wrong("may not be specified when `port` is non-numeric")];
  if (endPort < port) errors.push(wrong("must be greater than or equal to `port`"));
  return [...errors, ...checkPortNumber(endPort).map(wrong)];
}

function validatePeer(
  { podSelector, namespaceSelector, ipBlock }: Unchecked<NetworkPolicyPeer>,
  path: string,
): FieldError[] {
  const errors = [
    ...validateLabelSelector(podSelector, `${path}.podSelector`),
    ...validateLabelSelector(namespaceSelector, `${path}.namespaceSelector`),
    ...(ipBlock === undefined ? [] : validateBlock(ipBlock, `${path}.ipBlock`)),
  ];
  const count = [podSelector, namespaceSelector, ipBlock].filter((one) => one !== undefined).length;
  if (count === 0) return [...errors, required(path, "must specify a peer")];
  if (count === 1 || ipBlock === undefined) return errors;
  return [...errors, forbidden(path, "may not specify both ipBlock and another peer")];
}

function validateBlock({ cidr = "", except = [] }: Unchecked<IPBlock>, path: string): FieldError[] {
  if (cidr === "") return [required(`${path}.cidr`)];
  const errors = validateCidr(cidr, `${path}.cidr`);
  if (errors.length > 0) return errors;
  return except.flatMap((range, index) => {
    const at = `${path}.except[${index}]`;
    const wrong = validateCidr(range, at);
    if (wrong.length > 0 || isStrictSubset(range, cidr)) return wrong;
    return [invalid(at, range, "must be a strict subset of `cidr`")];
  });
}

/** Of well-formed ranges. */
function isStrictSubset(inner: string, outer: string): boolean {
  const [length, width] = [prefixLength(outer) ?? 0, prefixLength(inner) ?? 0];
  if (inner.includes(":") !== outer.includes(":") || width <= length) return false;
  return addressBits(inner).slice(0, length) === addressBits(outer).slice(0, length);
}

/** The address of a range in binary. */
function addressBits(range: string): string {
  const [ip = ""] = range.split("/");
  if (!ip.includes(":"))
    return ip
      .split(".")
      .map((byte) => binary(Number(byte), 8))
      .join("");
  // The platform writes the short form without embedded IPv4.
  const [head = "", tail] = new URL(`http://[${ip}]/`).hostname.slice(1, -1).split("::");
  const groups = (text: string) => (text === "" ? [] : text.split(":"));
  const [before, after] = [groups(head), groups(tail ?? "")];
  const missing = Array.from({ length: 8 - before.length - after.length }, () => "0");
  return [...before, ...missing, ...after].map((group) => binary(Number.parseInt(group, 16), 16)).join("");
}

function binary(value: number, bits: number): string {
  return value.toString(2).padStart(bits, "0");
}
