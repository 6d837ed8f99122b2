/** Carries out a plan for slices in the store. */
import type { EndpointSlice } from "../../../generated/kubernetes.ts";
import type { KubeObject } from "../../k8s/object.ts";
import { ENDPOINT_SLICES, SERVICE_NAME_LABEL } from "../../k8s/service-routes.ts";
import type { Store } from "../store/store.ts";
import type { ControllerParts } from "./controller.ts";
import type { SlicePlan } from "./endpoint-slices-plan.ts";

export const MANAGED_BY_LABEL = "endpointslice.kubernetes.io/managed-by";

export interface SliceKeeper {
  readonly namespace: string;
  readonly service: string;
  /** Value of the label `endpointslice.kubernetes.io/managed-by`. */
  readonly manager: string;
}

/** The slices of one Service that one controller looks after, by name. */
export function slicesOf(store: Store, { namespace, service, manager }: SliceKeeper): EndpointSlice[] {
  const matches = ({ metadata: { labels = {} } }: KubeObject) =>
    labels[SERVICE_NAME_LABEL] === service && labels[MANAGED_BY_LABEL] === manager;
  return [...store.list(ENDPOINT_SLICES, { namespace, matches }).items] as unknown as EndpointSlice[];
}

/** First what becomes more, then what becomes less: nobody is cut off on the way. */
export async function writeSlices(
  { store, create }: ControllerParts,
  namespace: string,
  plan: SlicePlan,
): Promise<void> {
  for (const slice of plan.create) await create(ENDPOINT_SLICES, slice as unknown as KubeObject);
  for (const slice of plan.update) {
    store.update(ENDPOINT_SLICES, { namespace, name: slice.metadata?.name ?? "" }, (current) =>
      changed(current, slice),
    );
  }
  for (const name of plan.remove) {
    if (store.get(ENDPOINT_SLICES, { namespace, name }) !== undefined)
      store.delete(ENDPOINT_SLICES, { namespace, name });
  }
}

function changed(current: KubeObject, { metadata, endpoints, ports }: EndpointSlice): KubeObject {
  const { labels = {}, annotations } = metadata ?? {};
  return {
    ...current,
    metadata: { ...current.metadata, labels, ...(annotations && { annotations }) },
    endpoints,
    ports,
  };
}
