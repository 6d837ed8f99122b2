/** Values of a pod's own fields for its containers: the downward API. */
import type { Container, PodSpec, ResourceFieldSelector } from "../../generated/kubernetes.ts";
import { goQuote } from "./go-format.ts";
import type { StoredPod } from "./pod.ts";
import { milliValue, quantityOf, wholeValue } from "./quantity.ts";

export interface PodAddresses {
  readonly hostIPs: readonly string[];
  readonly podIPs: readonly string[];
}

/**
 * `fieldRef`: `undefined` for a path that the downward API does not offer. Labels and annotations as a whole come as lines
 * of `key="value"`, sorted (fieldpath.FormatMap).
 */
export function downwardField(
  { metadata, spec }: StoredPod,
  { hostIPs, podIPs }: PodAddresses,
  fieldPath: string,
): string | undefined {
  const [, mapName, key] = /^metadata\.(labels|annotations)\['(.*)'\]$/s.exec(fieldPath) ?? [];
  if (mapName === "labels" || mapName === "annotations") return metadata[mapName]?.[key ?? ""] ?? "";
  switch (fieldPath) {
    case "metadata.name":
    case "metadata.namespace":
    case "metadata.uid":
      return metadata[fieldPath.slice("metadata.".length) as "name" | "namespace" | "uid"];
    case "metadata.labels":
      return formatMap(metadata.labels);
    case "metadata.annotations":
      return formatMap(metadata.annotations);
    case "spec.nodeName":
      return spec.nodeName ?? "";
    case "spec.serviceAccountName":
      return spec.serviceAccountName ?? "";
    case "status.hostIP":
      return hostIPs[0] ?? "";
    case "status.hostIPs":
      return hostIPs.join(",");
    case "status.podIP":
      return podIPs[0] ?? "";
    case "status.podIPs":
      return podIPs.join(",");
    default:
      return undefined;
  }
}

/** What a container without a limit of its own can use: what the pod can, else what the node has. */
export function limitsBeyond(
  { resources }: Pick<PodSpec, "resources">,
  allocatable: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  return { ...allocatable, ...resources?.limits };
}

/**
 * `resourceFieldRef`: amounts divided by the divisor, rounded up. A limit that is not set is what there is beyond
 * the container (`limitsBeyond`), a request that is not set is 0. `undefined` for an unknown resource.
 */
export function resourceField(
  { resources = {} }: Container,
  { resource, divisor }: ResourceFieldSelector,
  beyond: Readonly<Record<string, string>>,
): string | undefined {
  const match = /^(limits|requests)\.(cpu|memory|ephemeral-storage|hugepages-.+)$/.exec(resource);
  if (match === null) return undefined;
  const [, list = "", name = ""] = match;
  const asked = resources[list === "limits" ? "limits" : "requests"]?.[name];
  const amount = quantityOf(asked ?? (list === "limits" ? (beyond[name] ?? "0") : "0"));
  const unit = quantityOf(divisor === undefined || /^0*$/.test(divisor) ? "1" : divisor);
  const [value, by] =
    name === "cpu" ? [milliValue(amount), milliValue(unit)] : [wholeValue(amount), wholeValue(unit)];
  return String(Math.ceil(value / by));
}

function formatMap(map: Readonly<Record<string, string>> = {}): string {
  return Object.keys(map)
    .sort()
    .map((key) => `${key}=${goQuote(map[key] ?? "")}`)
    .join("\n");
}
