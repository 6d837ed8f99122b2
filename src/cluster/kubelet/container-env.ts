/** The environment of a container (kubelet makeEnvironmentVariables). */
import type { Container, EnvFromSource, EnvVar, EnvVarSource } from "../../../generated/kubernetes.ts";
import { downwardField, limitsBeyond, resourceField, type PodAddresses } from "../../k8s/downward-field.ts";
import { expandReferences } from "../../k8s/env-expansion.ts";
import type { StoredPod } from "../../k8s/pod.ts";
import { serviceEnvironment } from "../../k8s/service-env.ts";
import { ContainerConfigError } from "./config-error.ts";
import type { ReferencedObjects } from "./referenced-objects.ts";

export interface EnvFacts {
  readonly pod: StoredPod;
  readonly container: Container;
  readonly addresses: PodAddresses;
  readonly objects: ReferencedObjects;
  /** `status.allocatable` of the node, for limits that are not set. */
  readonly allocatable: Readonly<Record<string, string>>;
}

/** Name -> value. Throws `ContainerConfigError` with the kubelet's text when something it refers to is missing. */
export function containerEnv(facts: EnvFacts): Map<string, string> {
  const { pod, container, objects } = facts;
  const env = new Map<string, string>();
  const services = serviceEnvironment(objects.services(), {
    namespace: pod.metadata.namespace,
    enableServiceLinks: pod.spec.enableServiceLinks ?? true,
  });
  for (const source of container.envFrom ?? []) addAll(env, source, facts);
  for (const variable of container.env ?? []) {
    const value = valueOf(variable, (name) => env.get(name) ?? services.get(name), facts);
    if (value !== undefined) env.set(variable.name, value);
  }
  for (const [name, value] of services) if (!env.has(name)) env.set(name, value);
  return env;
}

function addAll(
  env: Map<string, string>,
  { configMapRef, secretRef, prefix = "" }: EnvFromSource,
  { objects }: EnvFacts,
): void {
  if (configMapRef !== undefined) {
    const { name = "", optional } = configMapRef;
    const configMap = objects.configMap(name);
    if (configMap === undefined && optional !== true) throw notFound("configmap", name);
    for (const [key, value] of Object.entries(configMap?.data ?? {})) env.set(prefix + key, value);
  }
  if (secretRef !== undefined) {
    const { name = "", optional } = secretRef;
    const secret = objects.secret(name);
    if (secret === undefined && optional !== true) throw notFound("secret", name);
    for (const [key, value] of Object.entries(secret?.data ?? {})) env.set(prefix + key, decode(value));
  }
}

function valueOf(
  { value, valueFrom }: EnvVar,
  known: (name: string) => string | undefined,
  facts: EnvFacts,
): string | undefined {
  if (valueFrom !== undefined) return valueFromSource(valueFrom, facts);
  return expandReferences(value ?? "", known).text;
}

function valueFromSource(source: EnvVarSource, facts: EnvFacts): string | undefined {
  const { pod, container, addresses, objects, allocatable } = facts;
  const { namespace } = pod.metadata;
  if (source.fieldRef !== undefined) {
    const { fieldPath } = source.fieldRef;
    const value = downwardField(pod, addresses, fieldPath);
    if (value === undefined) throw new ContainerConfigError(`unsupported fieldPath: ${fieldPath}`);
    return value;
  }
  if (source.resourceFieldRef !== undefined) {
    const { containerName, resource } = source.resourceFieldRef;
    const named = containerName === undefined ? container : findContainer(pod, containerName);
    const value = resourceField(named, source.resourceFieldRef, limitsBeyond(pod.spec, allocatable));
    if (value === undefined) throw new ContainerConfigError(`unsupported container resource : ${resource}`);
    return value;
  }
  if (source.configMapKeyRef !== undefined) {
    const { name = "", key, optional } = source.configMapKeyRef;
    const configMap = objects.configMap(name);
    if (configMap === undefined && optional !== true) throw notFound("configmap", name);
    const value = configMap?.data?.[key];
    if (value === undefined && optional !== true) throw keyNotFound("ConfigMap", `${namespace}/${name}`, key);
    return value;
  }
  if (source.secretKeyRef !== undefined) {
    const { name = "", key, optional } = source.secretKeyRef;
    const secret = objects.secret(name);
    if (secret === undefined && optional !== true) throw notFound("secret", name);
    const value = secret?.data?.[key];
    if (value === undefined && optional !== true) throw keyNotFound("Secret", `${namespace}/${name}`, key);
    return value === undefined ? undefined : decode(value);
  }
  const [kind = "nothing"] = Object.keys(source);
  throw new ContainerConfigError(
    `Cannot set a variable of container "${container.name}" from valueFrom.${kind}: this cluster does not read variables from files. ` +
      "Use configMapKeyRef or secretKeyRef, or read the file in the container's command",
  );
}

function findContainer({ spec }: StoredPod, name: string): Container {
  const found = [...spec.containers, ...(spec.initContainers ?? [])].find((one) => one.name === name);
  if (found === undefined) throw new ContainerConfigError(`container ${name} not found`);
  return found;
}

function notFound(kind: "configmap" | "secret", name: string): ContainerConfigError {
  return new ContainerConfigError(`${kind} "${name}" not found`);
}

function keyNotFound(kind: "ConfigMap" | "Secret", at: string, key: string): ContainerConfigError {
  return new ContainerConfigError(`couldn't find key ${key} in ${kind} ${at}`);
}

function decode(base64: string): string {
  return Buffer.from(base64, "base64").toString("utf8");
}
