/** Where in an object the parts of its Scale stand: in the same places for built-in kinds, where its definition says for custom ones. */
import type { ResourceInfo } from "../../k8s/catalogue.ts";
import type { ScalePaths } from "../../k8s/custom/definition.ts";
import type { KubeObject } from "../../k8s/object.ts";
import { formatLabelSelector, labelSelectorFromSet, labelSelectorOf } from "../../k8s/selectors.ts";
import { isJsonObject, type JsonObject } from "../../lib/frozen-json.ts";
import { internalError } from "../store/api-errors.ts";

export interface ScaleParts {
  readonly replicas: number;
  readonly observed: number;
  /** As text; empty for none. */
  readonly selector: string;
}

/** The part of the four built-in kinds that a Scale is made of. */
interface Scalable {
  readonly spec?: { readonly replicas?: number; readonly selector?: unknown };
  readonly status?: { readonly replicas?: number };
}

/** Throws `InternalError` where a custom resource says nothing of its replicas. */
export function scalePartsOf(object: KubeObject, { custom }: Pick<ResourceInfo, "custom">): ScaleParts {
  const paths = custom?.version.subresources?.scale;
  if (paths !== undefined) return customParts(object, paths);
  const { spec = {}, status = {} } = object as Scalable;
  const selector = selectorText(object.kind, spec.selector);
  return { replicas: spec.replicas ?? 0, observed: status.replicas ?? 0, selector };
}

function selectorText(kind: string, selector: unknown): string {
  if (!isJsonObject(selector)) return "";
  const compiled =
    kind === "ReplicationController"
      ? labelSelectorFromSet(selector as Readonly<Record<string, string>>)
      : labelSelectorOf(selector);
  return formatLabelSelector(compiled);
}

function customParts(object: KubeObject, paths: ScalePaths): ScaleParts {
  const { specReplicasPath, statusReplicasPath, labelSelectorPath = "" } = paths;
  const replicas = valueAt(object, namesOf(specReplicasPath));
  if (typeof replicas !== "number") {
    throw internalError(`the spec replicas field ${JSON.stringify(specReplicasPath)} does not exist`);
  }
  const observed = valueAt(object, namesOf(statusReplicasPath));
  const selector = labelSelectorPath === "" ? "" : valueAt(object, namesOf(labelSelectorPath));
  return {
    replicas,
    observed: typeof observed === "number" ? observed : 0,
    selector: typeof selector === "string" ? selector : "",
  };
}

/** Of `.spec.replicas` and its like; validation has seen to it that there are only names in it. */
function namesOf(path: string): readonly string[] {
  return path.split(".").filter((name) => name !== "");
}

function valueAt(object: JsonObject, names: readonly string[]): unknown {
  return names.reduce<unknown>(
    (value, name) => (isJsonObject(value) && Object.hasOwn(value, name) ? value[name] : undefined),
    object,
  );
}

export function withReplicas(
  object: KubeObject,
  replicas: number,
  { custom }: Pick<ResourceInfo, "custom">,
): KubeObject {
  const path = custom?.version.subresources?.scale?.specReplicasPath ?? ".spec.replicas";
  const names = namesOf(path);
  return { ...object, ...withValueAt(object, names, replicas) };
}

function withValueAt(value: unknown, [name, ...rest]: readonly string[], replicas: number): JsonObject {
  const object = isJsonObject(value) ? value : {};
  if (name === undefined) return object;
  return { ...object, [name]: rest.length === 0 ? replicas : withValueAt(object[name], rest, replicas) };
}
