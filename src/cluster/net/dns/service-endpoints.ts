/** The endpoints of a Service as DNS names them. */
import type { Endpoint, EndpointPort, EndpointSlice } from "../../../../generated/kubernetes.ts";

export interface NamedEndpoint {
  /** What stands before the Service's own name: the pod's hostname, else its address with dashes. */
  readonly label: string;
  readonly address: string;
  readonly ports: readonly EndpointPort[];
}

/**
 * Those that are ready: the condition holds `publishNotReadyAddresses`, too, and means yes where nobody has written it. One
 * entry for each address.
 */
export function readyEndpoints(slices: readonly EndpointSlice[]): readonly NamedEndpoint[] {
  const found = new Map<string, NamedEndpoint>();
  for (const slice of slices) {
    // `FQDN`, which has no addresses, was never acted on.
    if (slice.addressType === "FQDN") continue;
    const ports = slice.ports ?? [];
    for (const endpoint of slice.endpoints ?? []) {
      if (endpoint.conditions?.ready === false) continue;
      for (const address of endpoint.addresses)
        addEndpoint(found, { label: labelOf(endpoint, address), address, ports });
    }
  }
  return [...found.values()];
}

/** A Service with many ports may have several slices for one address. */
function addEndpoint(found: Map<string, NamedEndpoint>, endpoint: NamedEndpoint): void {
  const key = `${endpoint.label} ${endpoint.address}`;
  const before = found.get(key);
  found.set(
    key,
    before === undefined ? endpoint : { ...before, ports: [...before.ports, ...endpoint.ports] },
  );
}

export function labelOf({ hostname = "" }: Endpoint, address: string): string {
  return hostname === "" ? address.replaceAll(/[.:]/g, "-") : hostname.toLowerCase();
}
