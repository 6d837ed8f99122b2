/** Says once where the Services that `pillion up -d -f` has applied answer on this machine. */
import type { Service } from "../../generated/kubernetes.ts";
import type { KubeObject } from "../k8s/object.ts";
import type { ApiClient, ListResponse } from "./api-client.ts";
import { addressesOf } from "./service-addresses.ts";

/** Where helm notes the release that an object is part of. */
const RELEASE = "meta.helm.sh/release-name";

export interface AppliedServices {
  /** `namespace/name` of those that came from manifests. */
  readonly names: ReadonlySet<string>;
  /** Helm's releases that charts have become. */
  readonly releases: ReadonlySet<string>;
}

/** A line for each that has an address, in the API's order. */
export async function linesOfServices(
  api: ApiClient,
  { names, releases }: AppliedServices,
): Promise<string[]> {
  if (names.size + releases.size === 0) return [];
  const { items } = await api.request<ListResponse>("/api/v1/services");
  return items
    .filter(({ metadata }) => {
      const release = metadata.annotations?.[RELEASE];
      const isOfRelease = release !== undefined && releases.has(release);
      return isOfRelease || names.has(`${metadata.namespace}/${metadata.name}`);
    })
    .flatMap((service) => lineOf(service) ?? []);
}

/** `service/web: http://127.0.0.1:8000`, as the view of pods names them; undefined for one that answers pods only. */
export function lineOf(service: KubeObject & Service): string | undefined {
  const { namespace, name } = service.metadata;
  const addresses = addressesOf(service);
  if (addresses.length === 0) return undefined;
  return `service/${namespace === "default" ? "" : `${namespace}/`}${name}: ${addresses.join(", ")}`;
}
