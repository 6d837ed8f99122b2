/** The files every container of a pod gets: /etc/hosts, /etc/hostname, /etc/resolv.conf. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { StoredPod } from "../../k8s/pod.ts";
import { hostNetworkHostsFile, podHostsFile } from "../net/hosts-file.ts";
import { podHostname, type PodHostname } from "../net/pod-hostname.ts";
import { podResolvConf, type DnsOfCluster, type PodDns } from "../net/resolv-conf.ts";

const NODE_HOSTS = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n";

/** Throws a RangeError with the kubelet's text when the pod cannot have a valid name. */
export function hostnameOf({ metadata, spec }: StoredPod, clusterDomain: string): PodHostname {
  return podHostname({ namespace: metadata.namespace, name: metadata.name, spec }, clusterDomain);
}

/** Writes the files into the pod's folder: target -> file. `warnings` are for events about the pod. */
export function writePodFiles(facts: {
  readonly pod: StoredPod;
  readonly podFolder: string;
  readonly podIPs: readonly string[];
  readonly names: PodHostname;
  readonly dns: DnsOfCluster;
}): { readonly files: ReadonlyMap<string, string>; readonly warnings: PodDns["warnings"] } {
  const { pod, podFolder, podIPs, names, dns } = facts;
  const { spec } = pod;
  const { text, warnings } = podResolvConf({ namespace: pod.metadata.namespace, spec }, dns);
  const hosts =
    spec.hostNetwork === true
      ? hostNetworkHostsFile(NODE_HOSTS, spec.hostAliases)
      : podHostsFile(podIPs, names, spec.hostAliases);
  mkdirSync(podFolder, { recursive: true });
  const files = new Map<string, string>();
  const add = (target: string, name: string, content: string) => {
    const path = join(podFolder, name);
    writeFileSync(path, content, { mode: 0o644 });
    files.set(target, path);
  };
  add("/etc/hosts", "etc-hosts", hosts);
  add("/etc/hostname", "hostname", `${names.kernelHostname}\n`);
  add("/etc/resolv.conf", "resolv.conf", text);
  return { files, warnings };
}
