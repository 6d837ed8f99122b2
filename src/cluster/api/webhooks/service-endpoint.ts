/** Where a webhook's Service is to be reached: one of its ready endpoints (apiserver `util/proxy` ResolveEndpoint). */
import type { EndpointSlice, Service } from "../../../../generated/kubernetes.ts";
import { goQuote } from "../../../k8s/go-format.ts";
import type { KubeObject } from "../../../k8s/object.ts";
import { NetworkError } from "../../../k8s/network-error.ts";
import { ENDPOINT_SLICES, type RouteEndpoint, routesOf } from "../../../k8s/service-routes.ts";
import type { Store } from "../../store/store.ts";

export interface ServicePlace {
  readonly namespace: string;
  readonly name: string;
  readonly port: number;
}

/** Throws `NetworkError` with the real server's words. `pick` chooses an index below its argument. */
export function serviceEndpoint(
  store: Pick<Store, "get" | "list">,
  { namespace, name, port }: ServicePlace,
  pick: (count: number) => number = (count) => Math.floor(Math.random() * count),
): RouteEndpoint {
  const service: Service | undefined = store.get("services", { namespace, name });
  if (service === undefined) throw new NetworkError(`service ${goQuote(name)} not found`);
  const { type = "ClusterIP", clusterIP, ports = [] } = service.spec ?? {};
  if (type === "ExternalName") throw new NetworkError(`unsupported service type ${goQuote(type)}`);
  if (!ports.some((one) => one.port === port)) {
    throw new NetworkError(`no service port ${port} found for service ${goQuote(name)}`);
  }
  const slices: readonly EndpointSlice[] = store
    .list(ENDPOINT_SLICES, { namespace })
    .items.map((slice) => slice as KubeObject & EndpointSlice);
  // A headless Service has routes for nobody else; here its endpoints are as good as any.
  const reachable = { ...service, spec: { ...service.spec, clusterIP: clusterIP ?? "None" } };
  if (reachable.spec.clusterIP === "None") reachable.spec.clusterIP = "headless";
  const route = routesOf(reachable, slices).find((one) => one.port === port && one.protocol === "TCP");
  const endpoint = route?.endpoints[pick(route.endpoints.length)];
  if (endpoint === undefined) throw new NetworkError(`no endpoints available for service ${goQuote(name)}`);
  return endpoint;
}
