/** Tables of Services and of what stands around them. */
import type { EndpointSlice, LabelSelector, Service } from "../../../../generated/kubernetes.ts";
import { age, firstThree, formatLabels, formatSelector, nameOf, SELECTOR } from "./cell-text.ts";
import { AGE, column, definePrinter, NAME, type TablePrinter } from "./table-printer.ts";

const servicePrinter = definePrinter<Service>(
  [NAME, column("Type"), column("Cluster-IP"), column("External-IP"), column("Port(s)"), AGE, SELECTOR],
  (service, now) => {
    const { metadata, spec = {} } = service;
    return [
      nameOf(metadata),
      spec.type ?? "",
      spec.clusterIPs?.[0] || spec.clusterIP || "<none>",
      externalIp(service),
      servicePorts(service) || "<none>",
      age(metadata, now),
      formatLabels(spec.selector),
    ];
  },
);

function servicePorts({ spec }: Service): string {
  const ports = (spec?.ports ?? []).map(({ port, nodePort, protocol }) =>
    nodePort ? `${port}:${nodePort}/${protocol}` : `${port}/${protocol}`,
  );
  return ports.join(",");
}

interface Balanced {
  readonly loadBalancer?: {
    readonly ingress?: readonly {
      readonly ip?: string;
      readonly hostname?: string;
      readonly ports?: readonly { readonly port: number }[];
    }[];
  };
}

/** Sorted, each once. Ours names ports where they are not those of the Service; then they are what a user needs to know. */
function balancerAddresses(status: Balanced | undefined): string[] {
  const found = (status?.loadBalancer?.ingress ?? []).flatMap(({ ip, hostname, ports = [] }) => {
    const address = ip || hostname || "";
    return ports.length === 0 || address === "" ? [address] : ports.map(({ port }) => `${address}:${port}`);
  });
  return [...new Set(found.filter((address) => address !== ""))].sort();
}

function externalIp({ spec = {}, status }: Service): string {
  const external = spec.externalIPs ?? [];
  switch (spec.type ?? "") {
    case "ClusterIP":
    case "NodePort":
      return external.join(",") || "<none>";
    case "LoadBalancer":
      return [...balancerAddresses(status), ...external].join(",") || "<pending>";
    case "ExternalName":
      return spec.externalName ?? "";
    default:
      return "<unknown>";
  }
}

interface Endpoints {
  readonly subsets?: readonly {
    readonly addresses?: readonly { readonly ip: string }[];
    readonly ports?: readonly { readonly port: number }[];
  }[];
}

const endpointsPrinter = definePrinter<Endpoints>(
  [NAME, column("Endpoints"), AGE],
  ({ metadata, subsets }, now) => [
    nameOf(metadata),
    subsets === undefined || subsets.length === 0
      ? "<none>"
      : firstThree(subsets.flatMap(subsetAddresses), ""),
    age(metadata, now),
  ],
);

function subsetAddresses({
  addresses = [],
  ports = [],
}: NonNullable<Endpoints["subsets"]>[number]): string[] {
  const hosts = addresses.map(({ ip }) => ip);
  if (ports.length === 0) return hosts;
  return ports.flatMap(({ port }) =>
    hosts.map((host) => (host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`)),
  );
}

const endpointSlicePrinter = definePrinter<EndpointSlice>(
  [NAME, column("AddressType"), column("Ports"), column("Endpoints"), AGE],
  ({ metadata, addressType, ports, endpoints }, now) => [
    nameOf(metadata),
    addressType ?? "",
    firstThree(
      (ports ?? []).map(({ port, name }) => String(port ?? name ?? "*")),
      "<unset>",
    ),
    firstThree(
      (endpoints ?? []).flatMap(({ addresses }) => addresses),
      "<unset>",
    ),
    age(metadata, now),
  ],
);

interface Ingress {
  readonly spec?: {
    readonly ingressClassName?: string;
    readonly rules?: readonly { readonly host?: string }[];
    readonly tls?: readonly unknown[];
  };
  readonly status?: Balanced;
}

const ingressPrinter = definePrinter<Ingress>(
  [NAME, column("Class"), column("Hosts"), column("Address"), column("Ports"), AGE],
  ({ metadata, spec = {}, status }, now) => [
    nameOf(metadata),
    spec.ingressClassName ?? "<none>",
    ingressHosts(spec.rules ?? []),
    balancerAddresses(status).join(","),
    (spec.tls ?? []).length > 0 ? "80, 443" : "80",
    age(metadata, now),
  ],
);

/** `formatHosts` counts the rules that follow the third host, whether they name one or not. */
function ingressHosts(rules: readonly { readonly host?: string }[]): string {
  const hosts: string[] = [];
  for (const { host } of rules) {
    if (hosts.length === 3) return `${hosts.join(",")} + ${rules.length - 3} more...`;
    if (host) hosts.push(host);
  }
  return hosts.join(",") || "*";
}

interface IngressClass {
  readonly spec?: {
    readonly controller?: string;
    readonly parameters?: { readonly apiGroup?: string; readonly kind: string; readonly name: string };
  };
}

const ingressClassPrinter = definePrinter<IngressClass>(
  [NAME, column("Controller"), column("Parameters"), AGE],
  ({ metadata, spec }, now) => {
    const { apiGroup, kind, name } = spec?.parameters ?? {};
    const parameters =
      kind === undefined ? "<none>" : `${kind}${apiGroup === undefined ? "" : `.${apiGroup}`}/${name}`;
    return [nameOf(metadata), spec?.controller ?? "", parameters, age(metadata, now)];
  },
);

const networkPolicyPrinter = definePrinter<{ readonly spec?: { readonly podSelector?: LabelSelector } }>(
  [NAME, column("Pod-Selector"), AGE],
  ({ metadata, spec }, now) => [nameOf(metadata), formatSelector(spec?.podSelector), age(metadata, now)],
);

const serviceCidrPrinter = definePrinter<{ readonly spec?: { readonly cidrs?: readonly string[] } }>(
  [NAME, column("CIDRs"), AGE],
  ({ metadata, spec }, now) => [nameOf(metadata), (spec?.cidrs ?? []).join(","), age(metadata, now)],
);

interface IpAddress {
  readonly spec?: {
    readonly parentRef?: { group?: string; resource?: string; namespace?: string; name?: string };
  };
}

const ipAddressPrinter = definePrinter<IpAddress>(
  [NAME, column("ParentRef"), AGE],
  ({ metadata, spec }, now) => {
    const { group, resource, namespace, name } = spec?.parentRef ?? {};
    const parent = [[resource, group].filter(Boolean).join("."), namespace, name].filter(Boolean).join("/");
    return [nameOf(metadata), parent || "<none>", age(metadata, now)];
  },
);

export const networkTables: Readonly<Record<string, TablePrinter>> = {
  services: servicePrinter,
  endpoints: endpointsPrinter,
  "endpointslices.discovery.k8s.io": endpointSlicePrinter,
  "ingresses.networking.k8s.io": ingressPrinter,
  "ingressclasses.networking.k8s.io": ingressClassPrinter,
  "networkpolicies.networking.k8s.io": networkPolicyPrinter,
  "servicecidrs.networking.k8s.io": serviceCidrPrinter,
  "ipaddresses.networking.k8s.io": ipAddressPrinter,
};
