/** A request as webhooks are told of it: its resource, its options and who sends it. */
import type { SubresourceInfo, ResourceInfo } from "../../../k8s/catalogue.ts";
import type { KubeObject } from "../../../k8s/object.ts";
import type { AdmissionAttributes, AdmissionUser } from "../../../k8s/webhooks/match-webhook.ts";
import type { AdmissionOperation } from "../../../k8s/webhooks/webhook.ts";
import { isJsonObject, type JsonObject } from "../../../lib/frozen-json.ts";

export interface AdmittedRequest {
  readonly operation: AdmissionOperation;
  readonly info: ResourceInfo;
  readonly subresource?: Pick<SubresourceInfo, "name" | "kind" | "group" | "version"> | undefined;
  readonly namespace: string;
  /** Empty while it has yet to be generated. */
  readonly name: string;
  readonly dryRun: boolean;
  readonly user: AdmissionUser;
  readonly options: JsonObject;
}

/** Without the objects. */
export function attributesOf(request: AdmittedRequest): AdmissionAttributes {
  const { operation, info, subresource, namespace, name, dryRun, user, options } = request;
  const { group, version, plural, kind } = info;
  const { group: kindGroup, version: kindVersion, kind: kindName } = subresource ?? info;
  const isNamespace = info.groupResource === "namespaces";
  return {
    operation,
    resource: { group, version, resource: plural },
    subresource: subresource?.name ?? "",
    kind:
      subresource === undefined
        ? { group, version, kind }
        : { group: kindGroup, version: kindVersion, kind: kindName },
    name,
    // A namespace is in itself, as the real server's paths have it.
    namespace: isNamespace ? name : namespace,
    dryRun,
    user,
    options,
  };
}

const OPTIONS_VERSION = "meta.k8s.io/v1";

/** `CreateOptions` and its like, from the query of a request. */
export function optionsOf(kind: string, query?: URLSearchParams): JsonObject {
  const text = (name: string) => query?.get(name) ?? "";
  const fields = ["fieldManager", "fieldValidation"].filter((name) => text(name) !== "");
  const dryRun = query?.getAll("dryRun") ?? [];
  return {
    kind,
    apiVersion: OPTIONS_VERSION,
    ...(dryRun.length === 0 ? {} : { dryRun }),
    ...Object.fromEntries(fields.map((name) => [name, text(name)])),
  };
}

/** Names of the accounts under which kube-controller-manager's controllers write, by the kind that owns what they make. */
const CONTROLLERS: ReadonlyMap<string, string> = new Map([
  ["CronJob", "cronjob-controller"],
  ["DaemonSet", "daemon-set-controller"],
  ["Deployment", "deployment-controller"],
  ["Endpoints", "endpointslicemirroring-controller"],
  ["Job", "job-controller"],
  ["ReplicaSet", "replicaset-controller"],
  ["ReplicationController", "replication-controller"],
  ["Service", "endpointslice-controller"],
  ["StatefulSet", "statefulset-controller"],
]);

/** Whom a controller's new object comes from. */
export function controllerOf({ metadata }: KubeObject): AdmissionUser {
  const owner = metadata.ownerReferences?.find(({ controller }) => controller === true);
  const account = isJsonObject(owner) ? CONTROLLERS.get(owner.kind) : undefined;
  if (account === undefined) {
    return { username: "system:kube-controller-manager", groups: ["system:authenticated"] };
  }
  const groups = ["system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated"];
  return { username: `system:serviceaccount:kube-system:${account}`, groups };
}
