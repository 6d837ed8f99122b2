/** Which names a pod has: in its kernel, in /etc/hosts and in DNS. */
import type { PodSpec } from "../../../generated/kubernetes.ts";

/** `HOST_NAME_MAX` of Linux: the longest name that sethostname(2) takes, in bytes. */
const KERNEL_HOSTNAME_MAX = 64;
const DNS_LABEL_MAX = 63;

export interface PodHostname {
  /** First label, also what programs see as the host's name unless `setHostnameAsFQDN`. */
  readonly hostname: string;
  /** `<subdomain>.<namespace>.svc.<clusterDomain>`, or empty without a subdomain. */
  readonly domain: string;
  /** For sethostname(2). */
  readonly kernelHostname: string;
}

export interface NamedPod {
  readonly namespace: string;
  readonly name: string;
  readonly spec: Pick<PodSpec, "hostname" | "subdomain" | "setHostnameAsFQDN" | "hostnameOverride">;
}

/**
 * The pod's names, as the kubelet's GeneratePodHostNameAndDomain and GetNodenameForKernel decide them.
 * Throws a RangeError with the kubelet's text when no valid name comes out; the pod then waits in `ContainerCreating`.
 */
export function podHostname({ namespace, name, spec }: NamedPod, clusterDomain: string): PodHostname {
  if (spec.hostnameOverride !== undefined) {
    const hostname = truncateHostname(name, spec.hostnameOverride);
    return { hostname, domain: "", kernelHostname: hostname };
  }
  const hostname = truncateHostname(name, spec.hostname || name);
  const domain = spec.subdomain ? `${spec.subdomain}.${namespace}.svc.${clusterDomain}` : "";
  if (spec.setHostnameAsFQDN !== true || domain === "") return { hostname, domain, kernelHostname: hostname };
  const fqdn = `${hostname}.${domain}`;
  if (fqdn.length > KERNEL_HOSTNAME_MAX) {
    throw new RangeError(
      `Failed to construct FQDN from pod hostname and cluster domain, FQDN ${fqdn} is too long ` +
        `(${KERNEL_HOSTNAME_MAX} characters is the max, ${fqdn.length} characters requested)`,
    );
  }
  return { hostname, domain, kernelHostname: fqdn };
}

function truncateHostname(podName: string, hostname: string): string {
  if (hostname.length <= DNS_LABEL_MAX) return hostname;
  // A cut may end in the middle of a label boundary, and a label may not end in "-" or ".".
  const truncated = hostname.slice(0, DNS_LABEL_MAX).replace(/[-.]+$/, "");
  if (truncated === "")
    throw new RangeError(
      `hostname for pod ${JSON.stringify(podName)} was invalid: ${JSON.stringify(hostname)}`,
    );
  return truncated;
}
