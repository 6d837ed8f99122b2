/** The built-in admission steps: what the API server, the scheduler and the ServiceAccount plugin add to a Pod. */
import type { Pod, PodSpec } from "../../../generated/kubernetes.ts";
import type { KubeObject } from "../../k8s/object.ts";
import { StatusError } from "../../k8s/status-error.ts";
import type { Store } from "../store/store.ts";
import type { Admit } from "./api-context.ts";

const DEFAULT_ACCOUNT = "default";

/** The single node takes every Pod at once: with no choice to make there is no scheduler. */
export function scheduleOn(nodeName: string): Admit {
  return ({ info, object }) => {
    if (info.groupResource !== "pods") return object;
    const { spec } = object as Pod;
    const isGated = (spec?.schedulingGates ?? []).length > 0;
    if (spec === undefined || isGated || (spec.nodeName ?? "") !== "") return object;
    return withSpec(object, { ...spec, nodeName });
  };
}

/** plugin/pkg/admission/serviceaccount, without the token volume. */
export function assignServiceAccount(store: Store): Admit {
  return ({ info, object, operation }) => {
    if (info.groupResource !== "pods" || operation !== "CREATE") return object;
    const { spec, metadata } = object as Pod;
    if (spec === undefined) return object;
    const name = spec.serviceAccountName || spec.serviceAccount || DEFAULT_ACCOUNT;
    const namespace = metadata?.namespace ?? "";
    // A namespace's own account is made a moment after the namespace; a Pod need not wait for it.
    if (name !== DEFAULT_ACCOUNT && store.get("serviceaccounts", { namespace, name }) === undefined) {
      throw missingAccount({ namespace, name, pod: metadata?.name ?? metadata?.generateName ?? "" });
    }
    return withSpec(object, { ...spec, serviceAccountName: name, serviceAccount: name });
  };
}

function missingAccount(at: {
  readonly namespace: string;
  readonly name: string;
  readonly pod: string;
}): StatusError {
  const why = `error looking up service account ${at.namespace}/${at.name}: serviceaccount "${at.name}" not found`;
  return new StatusError("Forbidden", `pods "${at.pod}" is forbidden: ${why}`, {
    name: at.pod,
    kind: "pods",
  });
}

function withSpec(object: KubeObject, spec: PodSpec): KubeObject {
  return { ...object, spec };
}
