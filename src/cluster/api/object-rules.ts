/** What a resource's strategy does to an object before it is stored: fresh status and, on the way, defaults and checks. */
import { randomUUID } from "node:crypto";
import type { PodCondition, PodSpec, PodStatus } from "../../../generated/kubernetes.ts";
import type { ResourceInfo } from "../../k8s/catalogue.ts";
import { withGeneratedSelector } from "../../k8s/generated-selector.ts";
import { DEFINITIONS, isDefinition } from "../../k8s/custom/definition.ts";
import { withStoredVersion } from "../../k8s/custom/definition-status.ts";
import type { KubeObject } from "../../k8s/object.ts";
import { podQosClass } from "../../k8s/qos.ts";
import { refuseInvalidNew } from "../../k8s/validation.ts";
import { JOBS } from "../store/chosen-uid.ts";
import { generateName as nameLike } from "../store/generate-name.ts";

/** Registered by whoever runs the node, with its status. */
const KEEPS_STATUS: ReadonlySet<string> = new Set(["nodes", "namespaces"]);

/** `PrepareForCreate`: a client does not decide what has happened to its object, nor how a Job finds its pods. */
export function withFirstStatus(info: ResourceInfo, object: KubeObject): KubeObject {
  if (!info.hasStatus || KEEPS_STATUS.has(info.groupResource)) return object;
  if (info.custom !== undefined) return withoutStatus(object);
  const whole = info.groupResource === JOBS ? withGeneratedSelector(identified(object)) : object;
  return { ...whole, status: firstStatus(info, whole) };
}

/** Nobody has said anything about a new custom resource, not even that there is nothing to say. */
function withoutStatus(given: KubeObject): KubeObject {
  const { status: _, ...object } = given;
  return object;
}

/** With the name and the uid that it will have, for those whose labels tell them. */
function identified(object: KubeObject): KubeObject {
  const { name = "", generateName = "" } = object.metadata;
  const chosen = name === "" && generateName !== "" ? nameLike(generateName) : name;
  return { ...object, metadata: { ...object.metadata, name: chosen, uid: randomUUID() } };
}

function firstStatus({ groupResource }: ResourceInfo, object: KubeObject): object {
  const { spec } = object;
  switch (groupResource) {
    case "pods":
      return firstPodStatus((spec ?? {}) as PodSpec);
    case "persistentvolumes":
    case "persistentvolumeclaims":
      return { phase: "Pending" };
    case "services":
      return { loadBalancer: {} };
    case DEFINITIONS:
      return firstDefinitionStatus(object);
    default:
      return {};
  }
}

function firstDefinitionStatus(object: KubeObject): object {
  const status = { conditions: [], acceptedNames: { plural: "", kind: "" }, storedVersions: [] };
  const fresh: KubeObject = { ...object, status };
  return (isDefinition(fresh) ? withStoredVersion(fresh).status : undefined) ?? status;
}

/** What is wrong with the specification is found later; until then it may lack anything. */
function firstPodStatus(spec: PodSpec): PodStatus {
  const status: PodStatus = { phase: "Pending", qosClass: podQosClass(spec) };
  if ((spec.schedulingGates ?? []).length === 0) return status;
  return { ...status, conditions: [GATED] };
}

const GATED: PodCondition = {
  type: "PodScheduled",
  status: "False",
  reason: "SchedulingGated",
  message: "Scheduling is blocked due to non-empty scheduling gates",
};

/** Throws `Invalid` with every mistake of a new object. A name that has yet to be generated is checked as it will look. */
export function refuseInvalidFresh(info: ResourceInfo, object: KubeObject): void {
  const { name = "", generateName = "" } = object.metadata;
  if (name !== "" || generateName === "") {
    refuseInvalidNew(object, info);
    return;
  }
  const metadata = { ...object.metadata, name: nameLike(generateName) };
  refuseInvalidNew({ ...object, metadata }, info);
}
