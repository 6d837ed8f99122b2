/** Names of addresses: of Services, and of pods behind headless ones. */
import { SERVICE_NAME_LABEL } from "../../../k8s/service-routes.ts";
import type { ClusterView } from "./cluster-view.ts";
import type { DomainName } from "./domain-name.ts";
import { readyEndpoints } from "./service-endpoints.ts";

/** All names that lead to the address; empty when there are none. */
export function pointersTo(ip: string, domain: DomainName, view: ClusterView): readonly DomainName[] {
  const services = view
    .servicesAt(ip)
    .map(({ metadata: { name = "", namespace = "" } = {} }) => [name, namespace, "svc", ...domain]);
  const endpoints = view.slicesWith(ip).flatMap((slice) => {
    const namespace = slice.metadata?.namespace ?? "";
    const name = slice.metadata?.labels?.[SERVICE_NAME_LABEL] ?? "";
    if (view.service({ namespace, name })?.spec?.clusterIP !== "None") return [];
    return readyEndpoints([slice])
      .filter(({ address }) => address === ip)
      .map(({ label }) => [label, name, namespace, "svc", ...domain]);
  });
  const byText = new Map([...services, ...endpoints].map((name) => [name.join("."), name]));
  return [...byText.values()];
}
