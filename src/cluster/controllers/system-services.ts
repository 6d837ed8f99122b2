/** The Services that every cluster has: its API and its DNS. */
import { API_SERVICE_IP, DNS_SERVICE_IP } from "../../k8s/cluster-network.ts";
import type { GroupResource, KubeObject } from "../../k8s/object.ts";
import { ENDPOINT_SLICES, SERVICE_NAME_LABEL } from "../../k8s/service-routes.ts";
import { specOf } from "../store/resource-rules.ts";
import type { Store } from "../store/store.ts";

export interface ApiPlace {
  /** Of the API on the node, too: what leads to it there listens on the same number. */
  readonly apiPort: number;
  /** The node's address on the pod network. */
  readonly nodeAddress: string;
}

/** Makes what is missing and corrects the rest, but for labels and annotations. Safe to repeat. */
export function seedSystemServices(store: Store, place: ApiPlace): void {
  seed(store, "services", kubernetesService(place));
  seed(store, "endpoints", kubernetesEndpoints(place));
  seed(store, ENDPOINT_SLICES, kubernetesSlice(place));
  seed(store, "services", dnsService());
}

function seed(store: Store, resource: GroupResource, object: KubeObject): void {
  const { namespace = "", name = "" } = object.metadata;
  const at = { namespace, name };
  if (store.get(resource, at) === undefined) {
    store.create(resource, object);
    return;
  }
  store.update(resource, at, (current) => ({
    ...current,
    ...object,
    metadata: current.metadata,
    // What others have set beside it stays.
    ...(object["spec"] === undefined ? {} : { spec: { ...specOf(current), ...specOf(object) } }),
  }));
}

function kubernetesService({ apiPort }: ApiPlace): KubeObject {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: {
      name: "kubernetes",
      namespace: "default",
      labels: { component: "apiserver", provider: "kubernetes" },
    },
    spec: {
      ...clusterIp(API_SERVICE_IP),
      ports: [{ name: "https", port: 443, protocol: "TCP", targetPort: apiPort }],
    },
    status: { loadBalancer: {} },
  };
}

/** Written by the API server itself, which is no pod (`reconcilers`). */
function kubernetesEndpoints({ apiPort, nodeAddress }: ApiPlace): KubeObject {
  return {
    apiVersion: "v1",
    kind: "Endpoints",
    metadata: {
      name: "kubernetes",
      namespace: "default",
      // The slice is there already.
      labels: { "endpointslice.kubernetes.io/skip-mirror": "true" },
    },
    subsets: [
      { addresses: [{ ip: nodeAddress }], ports: [{ name: "https", port: apiPort, protocol: "TCP" }] },
    ],
  };
}

function kubernetesSlice({ apiPort, nodeAddress }: ApiPlace): KubeObject {
  return {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: {
      name: "kubernetes",
      namespace: "default",
      labels: { [SERVICE_NAME_LABEL]: "kubernetes" },
    },
    addressType: "IPv4",
    endpoints: [{ addresses: [nodeAddress], conditions: { ready: true } }],
    ports: [{ name: "https", port: apiPort, protocol: "TCP" }],
  };
}

/** No pods are behind it: the engine listens on the address itself, and so the proxy has to leave it alone. */
function dnsService(): KubeObject {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: {
      name: "kube-dns",
      namespace: "kube-system",
      labels: {
        "k8s-app": "kube-dns",
        "kubernetes.io/cluster-service": "true",
        "kubernetes.io/name": "CoreDNS",
        "service.kubernetes.io/service-proxy-name": "pillion-dns",
      },
    },
    spec: {
      ...clusterIp(DNS_SERVICE_IP),
      ports: [
        { name: "dns", port: 53, protocol: "UDP", targetPort: 53 },
        { name: "dns-tcp", port: 53, protocol: "TCP", targetPort: 53 },
      ],
    },
    status: { loadBalancer: {} },
  };
}

function clusterIp(ip: string): Record<string, unknown> {
  return {
    clusterIP: ip,
    clusterIPs: [ip],
    internalTrafficPolicy: "Cluster",
    ipFamilies: ["IPv4"],
    ipFamilyPolicy: "SingleStack",
    sessionAffinity: "None",
    type: "ClusterIP",
  };
}
