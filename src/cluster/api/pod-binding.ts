/** `pods/binding` and `bindings`: puts a Pod that has no node on one, as a scheduler of somebody's own would. */
import type { Pod } from "../../../generated/kubernetes.ts";
import { type FieldError, invalidObject, notSupported, required } from "../../k8s/field-error.ts";
import type { KubeObject } from "../../k8s/object.ts";
import { isJsonObject } from "../../lib/frozen-json.ts";
import { badRequest, conflict } from "../store/api-errors.ts";
import type { ResourceRequest } from "./api-context.ts";
import { type Answer, objectAnswer } from "./exchange.ts";
import { writeOptions } from "./request-options.ts";
import { reviewRequest } from "./webhooks/reviewed-request.ts";
import { decodeRequest } from "./write-verbs.ts";

const KIND = { group: "", version: "v1", kind: "Binding" } as const;

/** 201 with a `Status`; `Conflict` when the Pod has a node (registry/core/pod/storage BindingREST). */
export async function bindPod(resource: ResourceRequest): Promise<Answer> {
  const { context, request, target } = resource;
  const options = writeOptions(request.query, "CreateOptions");
  const binding = await decodeRequest(request, KIND, options.fieldValidation);
  const given = binding.metadata?.name ?? "";
  const name = target.name ?? given;
  if (given !== name && given !== "") throw badRequest("name in URL does not match name in Binding object");
  const { dryRun } = options;
  const nodeName = nodeOf(
    await reviewRequest(resource, { operation: "CREATE", object: binding, dryRun }),
    name,
  );
  context.store.update("pods", { namespace: target.namespace, name }, (pod) => assigned(pod, nodeName), {
    dryRun,
  });
  return objectAnswer({ kind: "Status", apiVersion: "v1", metadata: {}, status: "Success", code: 201 }, 201);
}

/** core `ValidatePodBinding`. */
function nodeOf(binding: KubeObject, name: string): string {
  const target = binding["target"];
  const { kind = "", name: nodeName = "" } = isJsonObject(target) ? target : {};
  const errors: FieldError[] = [];
  if (kind !== "" && kind !== "Node") errors.push(notSupported("target.kind", kind, ["Node", "<empty>"]));
  if (typeof nodeName !== "string" || nodeName === "") errors.push(required("target.name"));
  if (errors.length > 0) throw invalidObject({ group: "", kind: "Binding", name }, errors);
  return String(nodeName);
}

function assigned(current: KubeObject, nodeName: string): KubeObject {
  const { spec, metadata }: Pod = current;
  const { name = "", deletionTimestamp } = metadata ?? {};
  const refuse = (why: string) => conflict("pods/binding", name, why);
  if (deletionTimestamp !== undefined) {
    throw refuse(`pod ${name} is being deleted, cannot be assigned to a host`);
  }
  if ((spec?.nodeName ?? "") !== "") {
    throw refuse(`pod ${name} is already assigned to node ${JSON.stringify(spec?.nodeName)}`);
  }
  if ((spec?.schedulingGates ?? []).length > 0) {
    throw refuse(`pod ${name} has non-empty .spec.schedulingGates`);
  }
  return { ...current, spec: { ...spec, nodeName } };
}
