/** The variables with which every container learns of Services (kubelet `envvars`, getServiceEnvVarMap). */
import type { Service } from "../../generated/kubernetes.ts";

/** Told to every pod, wherever it is and whatever it asks for. */
const API_SERVICE = { namespace: "default", name: "kubernetes" };

export interface ServiceLinks {
  readonly namespace: string;
  readonly enableServiceLinks: boolean;
}

/** Name -> value, for the Services of the pod's namespace and the API's own. */
export function serviceEnvironment(
  services: readonly Service[],
  { namespace, enableServiceLinks }: ServiceLinks,
): Map<string, string> {
  const byName = new Map<string, Service>();
  for (const service of services) {
    const { name = "", namespace: at = "" } = service.metadata ?? {};
    const isApi = at === API_SERVICE.namespace && name === API_SERVICE.name;
    if (isApi && !byName.has(name)) byName.set(name, service);
    else if (!isApi && at === namespace && enableServiceLinks) byName.set(name, service);
  }
  return new Map([...byName.values()].flatMap(variablesOf));
}

/** Empty for a Service without an address of its own. */
function variablesOf({ metadata, spec }: Service): [string, string][] {
  const { clusterIP = "", ports = [] } = spec ?? {};
  const [first] = ports;
  if (clusterIP === "" || clusterIP === "None" || first === undefined) return [];
  const prefix = variableName(metadata?.name ?? "");
  const host = clusterIP.includes(":") ? `[${clusterIP}]` : clusterIP;
  return [
    [`${prefix}_SERVICE_HOST`, clusterIP],
    [`${prefix}_SERVICE_PORT`, String(first.port)],
    ...ports.flatMap(({ name = "", port }): [string, string][] =>
      name === "" ? [] : [[`${prefix}_SERVICE_PORT_${variableName(name)}`, String(port)]],
    ),
    ...ports.flatMap(({ port, protocol = "TCP" }, index): [string, string][] => {
      const url = `${protocol.toLowerCase()}://${host}:${port}`;
      const link = `${prefix}_PORT_${port}_${protocol.toUpperCase()}`;
      return [
        ...(index === 0 ? [[`${prefix}_PORT`, url] as [string, string]] : []),
        [link, url],
        [`${link}_PROTO`, protocol.toLowerCase()],
        [`${link}_PORT`, String(port)],
        [`${link}_ADDR`, clusterIP],
      ];
    }),
  ];
}

function variableName(text: string): string {
  return text.replaceAll("-", "_").toUpperCase();
}
