/** Which kernel settings a pod may have, and how their names are written (kubelet `sysctl/allowlist.go`). */
import type { PodSpec } from "../../generated/kubernetes.ts";

/** What is separate for each pod, and so small that it can hurt nobody else. */
const SAFE: ReadonlyMap<string, "IPC" | "net"> = new Map([
  ["kernel.shm_rmid_forced", "IPC"],
  ["net.ipv4.ip_local_port_range", "net"],
  ["net.ipv4.tcp_syncookies", "net"],
  ["net.ipv4.ping_group_range", "net"],
  ["net.ipv4.ip_unprivileged_port_start", "net"],
  ["net.ipv4.ip_local_reserved_ports", "net"],
  ["net.ipv4.tcp_keepalive_time", "net"],
  ["net.ipv4.tcp_fin_timeout", "net"],
  ["net.ipv4.tcp_keepalive_intvl", "net"],
  ["net.ipv4.tcp_keepalive_probes", "net"],
  ["net.ipv4.tcp_rmem", "net"],
  ["net.ipv4.tcp_wmem", "net"],
]);

/** `a/b/c.d` is another way to write `a.b.c/d` (component-helpers NormalizeName). */
export function normalizeSysctl(name: string): string {
  const [separator] = /[./]/.exec(name) ?? [];
  if (separator !== "/") return name;
  return name.replaceAll(/[./]/g, (char) => (char === "." ? "/" : "."));
}

/** Why the pod must not run, in the kubelet's words; `undefined` when all its settings are safe. */
export function forbiddenSysctl({ securityContext, hostNetwork, hostIPC }: PodSpec): string | undefined {
  for (const { name = "" } of securityContext?.sysctls ?? []) {
    const normalized = normalizeSysctl(name);
    const namespace = SAFE.get(normalized);
    if (namespace === undefined) return `forbidden sysctl: ${JSON.stringify(normalized)} not allowlisted`;
    const isOfHost = namespace === "net" ? hostNetwork === true : hostIPC === true;
    if (isOfHost)
      return `forbidden sysctl: ${JSON.stringify(normalized)} not allowed with host ${namespace} enabled`;
  }
  return undefined;
}
