/** The text of a pod's /etc/resolv.conf: what dnsPolicy and dnsConfig mean, with the limits of the kubelet. */
import type { PodSpec } from "../../../generated/kubernetes.ts";

const MAX_NAMESERVERS = 3;
const MAX_SEARCH_PATHS = 32;
const MAX_SEARCH_CHARACTERS = 2048;
/** Longest DNS name; longer search paths make some resolvers abort (glibc 2.28). */
const MAX_SEARCH_PATH_LENGTH = 253;

export interface ResolverSettings {
  readonly nameservers: readonly string[];
  readonly searches: readonly string[];
  /** `name` or `name:value`. */
  readonly options: readonly string[];
}

export interface DnsOfCluster {
  /** Addresses of the cluster's DNS; empty while there is none. */
  readonly clusterDNS: readonly string[];
  /** For example `cluster.local`. */
  readonly clusterDomain: string;
  /** This machine's settings, reduced to what a pod can reach (`withoutLoopback`). */
  readonly host: ResolverSettings;
}

export interface PodDns {
  readonly text: string;
  /** Messages of Warning events about the pod, reason first. */
  readonly warnings: readonly {
    readonly reason: "MissingClusterDNS" | "DNSConfigForming";
    readonly message: string;
  }[];
}

type DnsPod = {
  readonly namespace: string;
  readonly spec: Pick<PodSpec, "dnsPolicy" | "dnsConfig" | "hostNetwork">;
};

/** A pod's resolv.conf and what the kubelet would warn about (GetPodDNS, formDNSConfigFitsLimits). */
export function podResolvConf(pod: DnsPod, dns: DnsOfCluster): PodDns {
  const { base, warnings } = settingsByPolicy(pod, dns);
  const wanted = pod.spec.dnsConfig;
  const options = wanted?.options?.map(({ name = "", value }) => (value ? `${name}:${value}` : name)) ?? [];
  const { settings, exceeded } = withinLimits({
    nameservers: unique([...base.nameservers, ...(wanted?.nameservers ?? [])]),
    searches: unique([...base.searches, ...(wanted?.searches ?? [])]),
    options: mergeOptions([...base.options, ...options]),
  });
  const forming = exceeded.map((message) => ({ reason: "DNSConfigForming" as const, message }));
  return { text: formatResolvConf(settings), warnings: [...warnings, ...forming] };
}

function settingsByPolicy(
  { namespace, spec }: DnsPod,
  { clusterDNS, clusterDomain, host }: DnsOfCluster,
): { readonly base: ResolverSettings; readonly warnings: PodDns["warnings"] } {
  const policy = spec.dnsPolicy ?? "ClusterFirst";
  if (policy === "None") return { base: { nameservers: [], searches: [], options: [] }, warnings: [] };
  const asksHost = policy === "Default" || (policy === "ClusterFirst" && spec.hostNetwork === true);
  if (asksHost) return { base: host, warnings: [] };
  if (clusterDNS.length === 0) {
    const message =
      'kubelet does not have ClusterDNS IP configured and cannot create Pod using "ClusterFirst" policy. ' +
      'Falling back to "Default" policy.';
    return { base: host, warnings: [{ reason: "MissingClusterDNS", message }] };
  }
  const own = [`${namespace}.svc.${clusterDomain}`, `svc.${clusterDomain}`, clusterDomain];
  const base = {
    nameservers: clusterDNS,
    searches: unique([...own, ...host.searches]),
    options: ["ndots:5"],
  };
  return { base, warnings: [] };
}

/** Later options of the same name win, at the place of the first. */
function mergeOptions(options: readonly string[]): string[] {
  const byName = new Map<string, string>();
  for (const option of options) byName.set(option.split(":", 1)[0] ?? "", option);
  return [...byName.values()];
}

function withinLimits({ nameservers, searches, options }: ResolverSettings): {
  readonly settings: ResolverSettings;
  readonly exceeded: readonly string[];
} {
  const exceeded: string[] = [];
  const asked = nameservers.slice(0, MAX_NAMESERVERS);
  if (nameservers.length > MAX_NAMESERVERS) {
    exceeded.push(
      `Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver line is: ${asked.join(" ")}`,
    );
  }
  const searched = searches
    .slice(0, MAX_SEARCH_PATHS)
    .filter((path) => path.length <= MAX_SEARCH_PATH_LENGTH);
  while (searched.join(" ").length > MAX_SEARCH_CHARACTERS) searched.pop();
  if (searched.length < searches.length) {
    exceeded.push(
      `Search Line limits were exceeded, some search paths have been omitted, the applied search line is: ${searched.join(" ")}`,
    );
  }
  return { settings: { nameservers: asked, searches: searched, options }, exceeded };
}

export function formatResolvConf({ nameservers, searches, options }: ResolverSettings): string {
  const lines = nameservers.map((address) => `nameserver ${address}`);
  if (searches.length > 0) lines.unshift(`search ${searches.join(" ")}`);
  if (options.length > 0) lines.push(`options ${options.join(" ")}`);
  return lines.map((line) => `${line}\n`).join("");
}

/** Reads a resolv.conf(5) as the kubelet does: the last `search` line wins, unknown lines are skipped. */
export function parseResolvConf(text: string): ResolverSettings {
  const nameservers: string[] = [];
  let searches: string[] = [];
  const options: string[] = [];
  for (const line of text.split("\n")) {
    const [keyword, ...values] = line.trim().split(/\s+/);
    const [first] = values;
    if (keyword === "nameserver" && first !== undefined) nameservers.push(first);
    if (keyword === "search")
      searches = values.map((path) => (path === "." ? path : path.replace(/\.$/, "")));
    if (keyword === "options") options.push(...values);
  }
  return { nameservers, searches: unique(searches), options: mergeOptions(options) };
}

/** A resolver on this machine's loopback (systemd-resolved, dnsmasq) is out of reach from a pod. */
export function withoutLoopback(settings: ResolverSettings): ResolverSettings {
  const isLoopback = (address: string) =>
    address.startsWith("127.") || address === "::1" || address === "0.0.0.0";
  return { ...settings, nameservers: settings.nameservers.filter((address) => !isLoopback(address)) };
}

function unique(values: readonly string[]): string[] {
  return [...new Set(values)];
}
