/** The port that a probe or hook means (pkg/probe ResolveContainerPort). */
import type { Container } from "../../../../generated/kubernetes.ts";
import { parseDecimal } from "../../../k8s/int-or-string.ts";
import { goQuote } from "../../../k8s/go-format.ts";

/** Throws an Error with the kubelet's text for a name that this very container does not declare, and for no port at all. */
export function targetPort(port: number | string, { ports = [] }: Pick<Container, "ports">): number {
  const number =
    typeof port === "number"
      ? port
      : (ports.find(({ name }) => name === port)?.containerPort ?? parseDecimal(port));
  if (number === undefined) throw new Error(`strconv.Atoi: parsing ${goQuote(String(port))}: invalid syntax`);
  if (number > 0 && number < 65_536) return number;
  throw new Error(`invalid port number: ${number}`);
}
