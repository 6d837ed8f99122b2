/** What a Service asks for that does not happen here, so that nobody looks for the mistake in their own program. */
import type { ServiceSpec } from "../../generated/kubernetes.ts";
import type { Unchecked } from "./validation/unchecked.ts";

const PREFIX = "pillion: ";

/** Texts for `Warning:` headers; empty for a Service that does all it says. Fields that one node makes meaningless are no matter. */
export function serviceWarnings(spec: Unchecked<ServiceSpec>): string[] {
  const { type, externalIPs = [], loadBalancerSourceRanges: ranges = [], ports = [] } = spec;
  const warnings: string[] = [];
  const say = (text: string) => warnings.push(`${PREFIX}${text}`);
  for (const [index, { protocol }] of ports.entries())
    if (protocol === "SCTP") say(`spec.ports[${index}].protocol: nothing carries SCTP here`);
  if (externalIPs.length > 0) say("spec.externalIPs: this machine does not take these addresses");
  if (spec.externalTrafficPolicy === "Local")
    say(
      "spec.externalTrafficPolicy: Local does not keep the client's address here, and has no health check port",
    );
  if (type !== "LoadBalancer") return warnings;
  if (ranges.length > 0)
    say("spec.loadBalancerSourceRanges: this machine alone reaches the load balancer, whatever they say");
  if (spec.loadBalancerClass !== undefined)
    say(
      "spec.loadBalancerClass: there is no load balancer of another class here, so this one gets no address",
    );
  if ((spec.loadBalancerIP ?? "") !== "")
    say("spec.loadBalancerIP: the load balancer's address is one of this machine's own");
  return warnings;
}
