/** Names of pods by their address: `10-244-0-5.default.pod.cluster.local`. */
import { parseIpv4 } from "../../../lib/ipv4.ts";
import type { ClusterView } from "./cluster-view.ts";
import { TYPE } from "./dns-message.ts";
import type { DomainName } from "./domain-name.ts";
import { ipBytes } from "./ip-bytes.ts";
import type { Answer } from "./resolve-cluster-name.ts";

/**
 * `labels` are those before `pod.cluster.local`. Whether there is such a pod is not looked up: so has it kubeadm's CoreDNS
 * (`pods insecure`), and programs ask for names of pods before these have appeared everywhere.
 */
export function podAnswer(labels: DomainName, view: ClusterView): Answer {
  if (labels.length === 0) return { kind: "known", values: [] };
  const namespace = labels.at(-1) ?? "";
  if (labels.length > 2 || !view.hasNamespace(namespace)) return { kind: "missing" };
  if (labels.length === 1) return { kind: "known", values: [] };
  const text = labels[0] ?? "";
  const dotted = text.replaceAll("-", ".");
  const bytes = ipBytes(parseIpv4(dotted) === undefined ? text.replaceAll("-", ":") : dotted);
  if (bytes === undefined) return { kind: "missing" };
  const type = bytes.length === 4 ? TYPE.A : TYPE.AAAA;
  return { kind: "known", values: [{ type, value: { kind: "address", bytes } }] };
}
