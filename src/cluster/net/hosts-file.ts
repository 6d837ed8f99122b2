/** The text of a pod's /etc/hosts, as the kubelet writes it. */
import type { HostAlias } from "../../../generated/kubernetes.ts";
import type { PodHostname } from "./pod-hostname.ts";

const LOOPBACK_LINES = [
  "127.0.0.1\tlocalhost",
  "::1\tlocalhost ip6-localhost ip6-loopback",
  "fe00::0\tip6-localnet",
  "fe00::0\tip6-mcastprefix",
  "fe00::1\tip6-allnodes",
  "fe00::2\tip6-allrouters",
];

/** The file of a pod with its own address (kubelet: managedHostsFileContent). */
export function podHostsFile(
  podIPs: readonly string[],
  { hostname, domain }: PodHostname,
  aliases: readonly HostAlias[] = [],
): string {
  const names = domain === "" ? hostname : `${hostname}.${domain}\t${hostname}`;
  const own = podIPs.map((ip) => `${ip}\t${names}`);
  return lines("# Kubernetes-managed hosts file.", ...LOOPBACK_LINES, ...own) + aliasLines(aliases);
}

/** The file of a `hostNetwork` pod: the node's own, and the aliases (kubelet: nodeHostsFileContent). */
export function hostNetworkHostsFile(nodeHostsFile: string, aliases: readonly HostAlias[] = []): string {
  return lines("# Kubernetes-managed hosts file (host network).") + nodeHostsFile + aliasLines(aliases);
}

function aliasLines(aliases: readonly HostAlias[]): string {
  if (aliases.length === 0) return "";
  const entries = aliases.map(({ ip, hostnames = [] }) => `${ip}\t${hostnames.join("\t")}`);
  return lines("", "# Entries added by HostAliases.", ...entries);
}

function lines(...texts: string[]): string {
  return texts.map((text) => `${text}\n`).join("");
}
