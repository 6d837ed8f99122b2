/** What cluster DNS reads of the cluster: Services, their EndpointSlices and the namespaces, as they are at that moment. */
import type { EndpointSlice, Service } from "../../../../generated/kubernetes.ts";
import type { GroupResource, KubeObject, ObjectName } from "../../../k8s/object.ts";
import { ENDPOINT_SLICES, SERVICE_NAME_LABEL } from "../../../k8s/service-routes.ts";

/** The part of the store that is needed. */
export interface ObjectSource {
  get(resource: GroupResource, at: ObjectName): KubeObject | undefined;
  list(
    resource: GroupResource,
    query: { readonly namespace?: string; readonly matches?: (object: KubeObject) => boolean },
  ): { readonly items: readonly KubeObject[] };
}

export interface ClusterView {
  hasNamespace(name: string): boolean;
  service(at: ObjectName): Service | undefined;
  /** Of one Service. */
  slices(at: ObjectName): readonly EndpointSlice[];
  /** Services that have this ClusterIP. */
  servicesAt(ip: string): readonly Service[];
  /** Slices, of any Service, with an endpoint of this address. */
  slicesWith(ip: string): readonly EndpointSlice[];
}

/** Reads anew for each question: nothing is kept that could be out of date. */
export function viewOf(source: ObjectSource): ClusterView {
  return {
    hasNamespace: (name) => source.get("namespaces", { namespace: "", name }) !== undefined,
    service: (at) => asService(source.get("services", at)),
    slices: ({ namespace, name }) =>
      source
        .list(ENDPOINT_SLICES, {
          namespace,
          matches: ({ metadata }) => metadata.labels?.[SERVICE_NAME_LABEL] === name,
        })
        .items.map(asSlice),
    servicesAt: (ip) =>
      source
        .list("services", { matches: (object) => addressesOf(asService(object)).includes(ip) })
        .items.flatMap((object) => asService(object) ?? []),
    slicesWith: (ip) =>
      source
        .list(ENDPOINT_SLICES, {
          matches: (object) =>
            (asSlice(object).endpoints ?? []).some(({ addresses }) => addresses.includes(ip)),
        })
        .items.map(asSlice),
  };
}

/** The addresses of a Service's own, without those of its endpoints. */
export function addressesOf(service: Service | undefined): readonly string[] {
  const { type, clusterIP = "", clusterIPs = [] } = service?.spec ?? {};
  if (type === "ExternalName") return [];
  return [...new Set([clusterIP, ...clusterIPs])].filter((ip) => ip !== "" && ip !== "None");
}

// Validation has seen to the fields of both.
function asService(object: KubeObject | undefined): Service | undefined {
  return object;
}

function asSlice(object: KubeObject): EndpointSlice {
  return object as unknown as EndpointSlice;
}
