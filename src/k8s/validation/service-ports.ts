/** Checks of a Service's ports (core `validateServicePort` and what `ValidateService` says of all of them). */
import type { ServicePort } from "../../../generated/kubernetes.ts";
import { duplicate, type FieldError, forbidden, invalid, invalidEach, required } from "../field-error.ts";
import { checkDns1123Label, checkPortNumber, checkQualifiedName } from "../names.ts";
import { validatePort } from "./handlers.ts";
import { requireOneOf } from "./one-of.ts";
import type { Unchecked } from "./unchecked.ts";

type Port = Unchecked<ServicePort>;

const PROTOCOLS = ["SCTP", "TCP", "UDP"];
/** Never open to the outside: it is the kubelet's. */
const KUBELET_PORT = 10_250;

export function validateServicePorts(ports: readonly Port[], type: string | undefined): FieldError[] {
  return [
    ...ports.flatMap((port, index) => validateServicePort(port, index, ports)),
    ...(type === "ClusterIP" ? ports.flatMap(forbidNodePort) : []),
    ...ports.flatMap((port, index) => refuseSameNodePort(port, index, ports)),
    ...ports.flatMap((port, index) => refuseSamePort(port, index, ports)),
  ];
}

export function validateExposedPorts(ports: readonly Port[]): FieldError[] {
  const why = `may not expose port ${KUBELET_PORT} externally since it is used by kubelet`;
  return ports.flatMap(({ port = 0 }, index) =>
    port === KUBELET_PORT ? [invalid(`spec.ports[${index}]`, port, why)] : [],
  );
}

function validateServicePort(given: Port, index: number, ports: readonly Port[]): FieldError[] {
  const { name = "", port = 0, protocol = "", targetPort, appProtocol } = given;
  const at = `spec.ports[${index}]`;
  const errors: FieldError[] = [];
  if (name === "") {
    if (ports.length > 1) errors.push(required(`${at}.name`));
  } else {
    errors.push(...invalidEach(`${at}.name`, name, checkDns1123Label(name)));
    if (ports.findIndex((other) => other.name === name) < index) errors.push(duplicate(`${at}.name`, name));
  }
  errors.push(...invalidEach(`${at}.port`, port, checkPortNumber(port)));
  errors.push(...requireOneOf(protocol, PROTOCOLS, `${at}.protocol`));
  if (targetPort !== undefined) errors.push(...validatePort(targetPort, `${at}.targetPort`));
  if (appProtocol === undefined) return errors;
  return [...errors, ...invalidEach(`${at}.appProtocol`, appProtocol, checkQualifiedName(appProtocol))];
}

function forbidNodePort({ nodePort = 0 }: Port, index: number): FieldError[] {
  if (nodePort === 0) return [];
  return [forbidden(`spec.ports[${index}].nodePort`, "may not be used when `type` is 'ClusterIP'")];
}

function refuseSameNodePort(
  { nodePort = 0, protocol }: Port,
  index: number,
  ports: readonly Port[],
): FieldError[] {
  if (nodePort === 0) return [];
  const first = ports.findIndex((other) => other.nodePort === nodePort && other.protocol === protocol);
  return first < index ? [duplicate(`spec.ports[${index}].nodePort`, nodePort)] : [];
}

function refuseSamePort(
  { port = 0, protocol = "" }: Port,
  index: number,
  ports: readonly Port[],
): FieldError[] {
  const first = ports.findIndex((other) => (other.port ?? 0) === port && (other.protocol ?? "") === protocol);
  return first < index ? [duplicate(`spec.ports[${index}]`, { port, protocol })] : [];
}
