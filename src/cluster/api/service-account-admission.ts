/** The built-in admission step of the ServiceAccount plugin: who a pod is, and the token with which it says so. */
import type {
  Container,
  LocalObjectReference,
  Pod,
  PodSpec,
  ServiceAccount,
  Volume,
  VolumeMount,
} from "../../../generated/kubernetes.ts";
import { StatusError } from "../../k8s/status-error.ts";
import { generateName } from "../store/generate-name.ts";
import type { Store } from "../store/store.ts";
import type { Admit } from "./api-context.ts";

const DEFAULT_ACCOUNT = "default";
/** Where every client library looks (`rest.InClusterConfig`). */
const MOUNT_PATH = "/var/run/secrets/kubernetes.io/serviceaccount";
const VOLUME_PREFIX = "kube-api-access-";
/** An hour, and seven seconds by which a token that nobody asked for is known (`WarnOnlyBoundTokenExpirationPeriod`). */
const TOKEN_SECONDS = 3607;
const FILE_MODE = 0o644;
const MIRROR_ANNOTATION = "kubernetes.io/config.mirror";

/** plugin/pkg/admission/serviceaccount. Throws `Forbidden` where there is no such account. */
export function assignServiceAccount(store: Store): Admit {
  return ({ info, object, operation }) => {
    if (info.groupResource !== "pods" || operation !== "CREATE") return object;
    const { spec, metadata } = object as Pod;
    if (spec === undefined) return object;
    const pod = metadata?.name || metadata?.generateName || "";
    if (metadata?.annotations?.[MIRROR_ANNOTATION] !== undefined) {
      const fault = mirrorFault(spec);
      if (fault !== undefined) throw forbidden(pod, fault);
      return object;
    }
    const name = spec.serviceAccountName || spec.serviceAccount || DEFAULT_ACCOUNT;
    const namespace = metadata?.namespace ?? "";
    if (!takesPods(store, namespace)) return object;
    const account: ServiceAccount | undefined = store.get("serviceaccounts", { namespace, name });
    if (account === undefined) {
      const why = `error looking up service account ${namespace}/${name}: serviceaccount "${name}" not found`;
      throw forbidden(pod, why);
    }
    return { ...object, spec: specFor({ ...spec, serviceAccountName: name, serviceAccount: name }, account) };
  };
}

/** The store has its own words for a namespace that is not there or that is going, with its accounts. */
function takesPods(store: Store, name: string): boolean {
  const namespace = store.get("namespaces", { namespace: "", name });
  return namespace !== undefined && namespace.metadata.deletionTimestamp === undefined;
}

/** What stands for a pod of a node's own file must not reach for anything of the API (`Validate`). */
function mirrorFault({ serviceAccountName = "", volumes = [], imagePullSecrets = [] }: PodSpec) {
  if (serviceAccountName !== "") return "a mirror pod may not reference service accounts";
  const sources = volumes.flatMap(({ projected }) => projected?.sources ?? []);
  const hasSecret = volumes.some(({ secret }) => secret) || sources.some(({ secret }) => secret);
  if (hasSecret || imagePullSecrets.length > 0) return "a mirror pod may not reference secrets";
  if (sources.some(({ serviceAccountToken }) => serviceAccountToken))
    return "a mirror pod may not use ServiceAccountToken volume projections";
  return undefined;
}

/** What an account gives to its pods. */
function specFor(spec: PodSpec, account: ServiceAccount): Partial<PodSpec> {
  const mounts = spec.automountServiceAccountToken ?? account.automountServiceAccountToken ?? true;
  const mounted = mounts ? withToken(spec) : spec;
  const secrets = account.imagePullSecrets ?? [];
  if ((spec.imagePullSecrets ?? []).length > 0 || secrets.length === 0) return mounted;
  return { ...mounted, imagePullSecrets: secrets.map(({ name = "" }): LocalObjectReference => ({ name })) };
}

/** A volume of that kind that is there already is used; a container that mounts something at the place keeps it. */
function withToken(spec: Partial<PodSpec>): Partial<PodSpec> {
  // What is wrong with the specification is found later; until then it may lack anything.
  const { volumes = [], initContainers, containers = [] } = spec;
  const present = volumes.find(({ name }) => name.startsWith(VOLUME_PREFIX))?.name;
  const name = present ?? generateName(VOLUME_PREFIX);
  const all = [...(initContainers ?? []), ...containers];
  if (all.every(mountsThere)) return spec;
  const mount: VolumeMount = { name, readOnly: true, mountPath: MOUNT_PATH };
  const mounting = (container: Container): Container =>
    mountsThere(container)
      ? container
      : { ...container, volumeMounts: [...(container.volumeMounts ?? []), mount] };
  return {
    ...spec,
    volumes: present === undefined ? [...volumes, tokenVolume(name)] : volumes,
    ...(initContainers === undefined ? {} : { initContainers: initContainers.map(mounting) }),
    containers: containers.map(mounting),
  };
}

function mountsThere({ volumeMounts = [] }: Container): boolean {
  return volumeMounts.some(({ mountPath }) => mountPath === MOUNT_PATH);
}

/** With its defaults: they have been filled in before. */
function tokenVolume(name: string): Volume {
  return {
    name,
    projected: {
      defaultMode: FILE_MODE,
      sources: [
        { serviceAccountToken: { path: "token", expirationSeconds: TOKEN_SECONDS } },
        { configMap: { name: "kube-root-ca.crt", items: [{ key: "ca.crt", path: "ca.crt" }] } },
        {
          downwardAPI: {
            items: [{ path: "namespace", fieldRef: { apiVersion: "v1", fieldPath: "metadata.namespace" } }],
          },
        },
      ],
    },
  };
}

function forbidden(name: string, why: string): StatusError {
  return new StatusError("Forbidden", `pods "${name}" is forbidden: ${why}`, { name, kind: "pods" });
}
