/** The addresses of a cluster's network, in one place: the certificate, the pods' resolv.conf, routing and allocation must agree. */

import { type Ipv4Range, parseIpv4Range } from "../lib/ipv4.ts";

/** Where Services get their addresses; kubeadm's default. */
export const SERVICE_RANGE = rangeOf("10.96.0.0/16");
/** Where pods get theirs; flannel's default, which most examples show. */
export const POD_RANGE = rangeOf("10.244.0.0/16");
/** The Service `kubernetes`: the first address of the Service range (`pkg/controlplane`). */
export const API_SERVICE_IP = "10.96.0.1";
/** The Service `kube-dns`: the tenth of the Service range, as kubeadm has it. */
export const DNS_SERVICE_IP = "10.96.0.10";
/** The node on the pod network: its first address. */
export const NODE_IP = "10.244.0.1";

/** Names and addresses under which a client may ask for the API, besides a loopback address of its own. */
export const API_SERVER_NAMES: readonly string[] = [
  "127.0.0.1",
  "localhost",
  "kubernetes",
  "kubernetes.default",
  "kubernetes.default.svc",
  "kubernetes.default.svc.cluster.local",
  API_SERVICE_IP,
  NODE_IP,
];

function rangeOf(text: string): Ipv4Range {
  const range = parseIpv4Range(text);
  if (range === undefined) throw new Error(`${text} is no range`);
  return range;
}
