/** Where on this machine a Service answers, as a user would type it: of NodePorts and LoadBalancers; others are for pods. */
import type { Service, ServicePort } from "../../generated/kubernetes.ts";

/** Where every node port is; `kubectl get nodes` shows it as INTERNAL-IP. */
const NODE_ADDRESS = "127.0.0.1";

/** Services of type LoadBalancer that Pillion gives an address; one of a class is somebody else's. */
export function isBalanced({ spec }: Service): boolean {
  return spec?.type === "LoadBalancer" && spec.loadBalancerClass === undefined;
}

/** `http://127.0.0.1:8000` for each port, or `127.0.0.1:5432` where it is no web page. Empty until there is an address. */
export function addressesOf(service: Service): string[] {
  const { type, ports = [] } = service.spec ?? {};
  const carried = ports.filter(({ protocol = "TCP" }) => protocol !== "SCTP");
  if (type === "NodePort")
    return carried.flatMap((port) =>
      port.nodePort === undefined ? [] : addressOf(port, NODE_ADDRESS, port.nodePort),
    );
  const ingress = service.status?.loadBalancer?.ingress?.[0];
  if (type !== "LoadBalancer" || ingress === undefined) return [];
  // The status names ports only where one had to move, and then all, in the Service's order.
  return carried.map((port, index) =>
    addressOf(port, ingress.ip ?? ingress.hostname ?? "", ingress.ports?.[index]?.port ?? port.port),
  );
}

function addressOf(port: ServicePort, host: string, number: number): string {
  if (port.protocol === "UDP") return `${host}:${number}/UDP`;
  const scheme = schemeOf(port);
  if (scheme === undefined) return `${host}:${number}`;
  const isUsual = number === (scheme === "https" ? 443 : 80);
  return `${scheme}://${host}${isUsual ? "" : `:${number}`}`;
}

/** What the port says of itself, else what its number is known for. */
function schemeOf({ appProtocol = "", name = "", port }: ServicePort): "http" | "https" | undefined {
  const said = `${appProtocol} ${name}`;
  if (/\bhttps\b/.test(said)) return "https";
  if (/\b(http|web|www|ui)\b/.test(said)) return "http";
  if (appProtocol !== "") return undefined;
  if (port === 443 || port === 8443) return "https";
  return port === 80 || port === 3000 || (port >= 8000 && port < 9000) ? "http" : undefined;
}
