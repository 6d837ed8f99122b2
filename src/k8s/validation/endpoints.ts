/** Checks of Endpoints and EndpointSlices (core `ValidateEndpoints`, discovery `ValidateEndpointSlice`). */
import type { Endpoint, EndpointPort, EndpointSlice } from "../../../generated/kubernetes.ts";
import { duplicate, type FieldError, invalid, invalidEach, required, tooMany } from "../field-error.ts";
import {
  checkDns1123Label,
  checkDns1123Subdomain,
  checkPortNumber,
  checkQualifiedName,
  isIp,
} from "../names.ts";
import { validateReachableIp } from "./ip-fields.ts";
import { validateImmutable } from "./immutable.ts";
import { validateLabels } from "./labels.ts";
import { requireOneOf } from "./one-of.ts";
import type { Unchecked } from "./unchecked.ts";

const PROTOCOLS = ["SCTP", "TCP", "UDP"];
const ADDRESS_TYPES = ["FQDN", "IPv4", "IPv6"];
const MOST_ENDPOINTS = 1000;
const MOST_ADDRESSES = 100;
const MOST_PORTS = 100;
const MOST_LABELS = 16;

interface EndpointAddress {
  readonly ip?: string;
  readonly hostname?: string;
  readonly nodeName?: string;
}

interface EndpointSubset {
  readonly addresses?: readonly EndpointAddress[];
  readonly notReadyAddresses?: readonly EndpointAddress[];
  readonly ports?: readonly Unchecked<EndpointPort>[];
}

interface Endpoints {
  readonly kind?: string;
  readonly subsets?: unknown;
}

export function validateEndpoints({ subsets }: Endpoints): FieldError[] {
  return ((subsets ?? []) as readonly EndpointSubset[]).flatMap((subset, index) =>
    validateSubset(subset, `subsets[${index}]`),
  );
}

function validateSubset(
  { addresses = [], notReadyAddresses = [], ports = [] }: EndpointSubset,
  path: string,
): FieldError[] {
  const errors: FieldError[] = [];
  if (addresses.length + notReadyAddresses.length === 0)
    errors.push(required(path, "must specify `addresses` or `notReadyAddresses`"));
  for (const [list, items] of Object.entries({ addresses, notReadyAddresses })) {
    for (const [index, { ip = "", hostname = "", nodeName }] of items.entries()) {
      const at = `${path}.${list}[${index}]`;
      if (hostname !== "")
        errors.push(...invalidEach(`${at}.hostname`, hostname, checkDns1123Label(hostname)));
      if (nodeName !== undefined)
        errors.push(...invalidEach(`${at}.nodeName`, nodeName, checkDns1123Subdomain(nodeName)));
      errors.push(...validateReachableIp(ip, `${at}.ip`));
    }
  }
  for (const [index, port] of ports.entries()) {
    const at = `${path}.ports[${index}]`;
    if (ports.length > 1 && (port.name ?? "") === "") errors.push(required(`${at}.name`));
    errors.push(...invalidEach(`${at}.port`, port.port ?? 0, checkPortNumber(port.port ?? 0)));
    errors.push(...validatePort(port, at));
  }
  return errors;
}

function validatePort({ name = "", protocol = "", appProtocol }: Unchecked<EndpointPort>, path: string) {
  const errors = name === "" ? [] : invalidEach(`${path}.name`, name, checkDns1123Label(name));
  errors.push(...requireOneOf(protocol, PROTOCOLS, `${path}.protocol`));
  if (appProtocol === undefined) return errors;
  return [...errors, ...invalidEach(`${path}.appProtocol`, appProtocol, checkQualifiedName(appProtocol))];
}

export function validateEndpointSlice(slice: Unchecked<EndpointSlice>): FieldError[] {
  const { addressType = "", endpoints = [], ports = [] } = slice;
  const errors = requireOneOf(addressType, ADDRESS_TYPES, "addressType");
  if (endpoints.length > MOST_ENDPOINTS) errors.push(tooMany("endpoints", endpoints.length, MOST_ENDPOINTS));
  else
    errors.push(
      ...endpoints.flatMap((endpoint, index) =>
        validateEndpoint(endpoint, `endpoints[${index}]`, addressType),
      ),
    );
  if (ports.length > MOST_PORTS) return [...errors, tooMany("ports", ports.length, MOST_PORTS)];
  const names = ports.map(({ name = "" }) => name);
  for (const [index, port] of ports.entries()) {
    const name = names[index];
    errors.push(...validatePort(port, `ports[${index}]`));
    if (names.findIndex((other) => other === name) < index)
      errors.push(duplicate(`ports[${index}].name`, name));
  }
  return errors;
}

export function validateEndpointSliceUpdate(
  slice: Unchecked<EndpointSlice>,
  before: Unchecked<EndpointSlice>,
): FieldError[] {
  return [
    ...validateEndpointSlice(slice),
    ...validateImmutable("addressType", slice.addressType, before.addressType),
  ];
}

function validateEndpoint(endpoint: Unchecked<Endpoint>, path: string, type: string): FieldError[] {
  const { addresses = [], deprecatedTopology = {}, hostname } = endpoint;
  const errors: FieldError[] = [];
  const at = `${path}.addresses`;
  if (addresses.length === 0) errors.push(required(at, "must contain at least 1 address"));
  else if (addresses.length > MOST_ADDRESSES) errors.push(tooMany(at, addresses.length, MOST_ADDRESSES));
  for (const [index, address] of addresses.entries())
    errors.push(...validateAddress(address, `${at}[${index}]`, type));
  const labels = Object.keys(deprecatedTopology).length;
  const topology = `${path}.deprecatedTopology`;
  if (labels > MOST_LABELS) errors.push(tooMany(topology, labels, MOST_LABELS));
  errors.push(...validateLabels(deprecatedTopology, topology));
  if (hostname === undefined) return errors;
  return [...errors, ...invalidEach(`${path}.hostname`, hostname, checkDns1123Label(hostname))];
}

function validateAddress(address: string, field: string, type: string): FieldError[] {
  if (type === "FQDN") return validateDomain(address.replace(/\.$/, ""), field);
  if (type !== "IPv4" && type !== "IPv6") return [];
  const isOfType = isIp(address) && address.includes(":") === (type === "IPv6");
  const errors = isOfType ? [] : [invalid(field, address, `must be a valid ${type} address`)];
  return [...errors, ...validateReachableIp(address, field)];
}

/** `IsFullyQualifiedDomainName`. */
function validateDomain(name: string, field: string): FieldError[] {
  if (name === "") return [required(field)];
  const wrong = checkDns1123Subdomain(name);
  if (wrong.length > 0) return invalidEach(field, name, wrong);
  if (name.includes(".")) return [];
  return [invalid(field, name, "should be a domain with at least two segments separated by dots")];
}
