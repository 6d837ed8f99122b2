/** Names of Services, of their ports and of the pods behind them. */
import type { Service } from "../../../../generated/kubernetes.ts";
import { addressesOf, type ClusterView } from "./cluster-view.ts";
import { TYPE } from "./dns-message.ts";
import { type DomainName, parseName } from "./domain-name.ts";
import { ipBytes } from "./ip-bytes.ts";
import type { Answer, Found, Known } from "./resolve-cluster-name.ts";
import { type NamedEndpoint, readyEndpoints } from "./service-endpoints.ts";

/** Every instance alike, none before the others. */
const PRIORITY = 0;
const WEIGHT = 100;

const MISSING = { kind: "missing" } as const;
const EMPTY: Known = { kind: "known", values: [] };

interface NamedService {
  readonly service: Service;
  /** The Service's own name. */
  readonly name: DomainName;
  readonly isHeadless: boolean;
  readonly endpoints: readonly NamedEndpoint[];
}

/** `labels` are those before `svc.cluster.local`, in lower case: `[...what, service, namespace]`. */
export function serviceAnswer(labels: DomainName, domain: DomainName, view: ClusterView): Answer {
  if (labels.length === 0) return EMPTY;
  const [namespace = "", name = "", ...more] = labels.toReversed();
  if (!view.hasNamespace(namespace)) return MISSING;
  if (labels.length === 1) return EMPTY;
  const service = view.service({ namespace, name });
  if (service === undefined) return MISSING;
  if (service.spec?.type === "ExternalName") return more.length === 0 ? aliasOf(service) : MISSING;
  const isHeadless = service.spec?.clusterIP === "None";
  // Only where they are asked for: an address of its own needs none.
  const endpoints = isHeadless || more.length > 0 ? readyEndpoints(view.slices({ namespace, name })) : [];
  const found = { service, name: [name, namespace, "svc", ...domain], isHeadless, endpoints };
  const [first = "", second] = more;
  if (more.length === 0) return ofService(found);
  if (second === undefined)
    return first.startsWith("_") ? ofProtocol(found, first) : ofEndpoint(found, first);
  return more.length === 2 ? ofPort(found, { protocol: first, port: second }) : MISSING;
}

function aliasOf({ spec }: Service): Answer {
  const target = parseName(spec?.externalName ?? "");
  return target === undefined || target.length === 0 ? MISSING : { kind: "alias", target };
}

/** A headless Service without ready endpoints has no name (specification 2.4.1): clients do not take it for an empty one. */
function ofService(found: NamedService): Answer {
  const { service, isHeadless, endpoints } = found;
  if (isHeadless && endpoints.length === 0) return MISSING;
  const addresses = isHeadless ? endpoints.map(({ address }) => address) : addressesOf(service);
  const services = servicesOf(found, () => true);
  return { ...services, values: [...unique(addresses).flatMap(addressValue), ...services.values] };
}

function ofEndpoint({ endpoints }: NamedService, label: string): Answer {
  const values = endpoints
    .filter((one) => one.label === label)
    .flatMap(({ address }) => addressValue(address));
  return values.length === 0 ? MISSING : { kind: "known", values };
}

/** `_tcp.web` exists if a name like `_http._tcp.web` does. */
function ofProtocol(found: NamedService, protocol: string): Answer {
  const { values } = servicesOf(found, (port) => port.name !== "" && protocolLabel(port) === protocol);
  return values.length === 0 ? MISSING : EMPTY;
}

function ofPort(found: NamedService, asked: { readonly protocol: string; readonly port: string }): Answer {
  const answer = servicesOf(
    found,
    (port) => port.name !== "" && `_${port.name}` === asked.port && protocolLabel(port) === asked.protocol,
  );
  return answer.values.length === 0 ? MISSING : answer;
}

interface Port {
  readonly name: string;
  readonly protocol: string;
}

function protocolLabel({ protocol }: Port): string {
  return `_${protocol.toLowerCase()}`;
}

/** SRV records of the ports that match, with the addresses of what they point to. */
function servicesOf(found: NamedService, matches: (port: Port) => boolean): Known {
  const { service, name, isHeadless, endpoints } = found;
  const targets = isHeadless
    ? endpoints.map(({ label, address, ports }) => ({
        target: [label, ...name],
        addresses: [address],
        ports,
      }))
    : [{ target: name, addresses: addressesOf(service), ports: service.spec?.ports ?? [] }];
  const hits = targets.flatMap(({ target, addresses, ports }) =>
    ports
      .filter(({ name: port = "", protocol = "TCP" }) => matches({ name: port.toLowerCase(), protocol }))
      .map(({ port = 0 }) => ({ target, addresses, port })),
  );
  return {
    kind: "known",
    values: hits.map(({ target, port }): Found => ({
      type: TYPE.SRV,
      value: { kind: "service", priority: PRIORITY, weight: WEIGHT, port, target },
    })),
    additionals: hits.flatMap(({ target, addresses }) =>
      addresses.flatMap(addressValue).map((value) => ({ ...value, name: target })),
    ),
  };
}

function addressValue(address: string): readonly Found[] {
  const bytes = ipBytes(address);
  if (bytes === undefined) return [];
  return [{ type: bytes.length === 4 ? TYPE.A : TYPE.AAAA, value: { kind: "address", bytes } }];
}

function unique(values: readonly string[]): readonly string[] {
  return [...new Set(values)];
}
