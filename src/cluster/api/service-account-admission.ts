/** The built-in admission step of the ServiceAccount plugin. */
import type { Pod, PodSpec } from "../../../generated/kubernetes.ts";
import type { KubeObject } from "../../k8s/object.ts";
import { StatusError } from "../../k8s/status-error.ts";
import type { Store } from "../store/store.ts";
import type { Admit } from "./api-context.ts";

const DEFAULT_ACCOUNT = "default";

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
