/** POST and PUT: decode, default, admit, validate, store. */
import type { KubeObject } from "../../k8s/object.ts";
import { decodeObject, enforceFieldValidation, type ExpectedKind } from "../../k8s/strict-decode.ts";
import { checkName } from "./admission-steps.ts";
import type { NamedRequest, ResourceRequest } from "./api-context.ts";
import { readObjectBody } from "./decode-body.ts";
import { type Answer, type ApiRequest, objectAnswer } from "./exchange.ts";
import { presenterOf } from "./read-verbs.ts";
import { type FieldValidation, writeOptions } from "./request-options.ts";
import { answerReview } from "./reviews.ts";
import { storeChange } from "./store-change.ts";
import { storeMissing, storeNew } from "./store-new.ts";

/** 201 with the new object. */
export async function createObject(resource: ResourceRequest): Promise<Answer> {
  const { context, request, target } = resource;
  const options = writeOptions(request.query, "CreateOptions");
  const object = await decodeRequest(request, target.info, options.fieldValidation);
  const review = answerReview(target.info, object, {
    user: request.user,
    namespace: target.namespace,
    authorizer: context.authorizer,
    now: context.clock.now(),
    verifyToken: context.verifyToken,
  });
  if (review !== undefined) return objectAnswer(review, 201);
  const created = await storeNew(resource, { object, dryRun: options.dryRun });
  return objectAnswer(presenterOf(resource).object(created), 201);
}

/** 200 with the changed object; 201 where a PUT may create. */
export async function replaceObject(named: NamedRequest): Promise<Answer> {
  const { request, target } = named;
  const { info } = target;
  const options = writeOptions(request.query, "UpdateOptions");
  const object = await decodeRequest(request, info, options.fieldValidation);
  checkName(object, target);
  if (CREATED_BY_UPDATE.has(info.groupResource) && target.subresource === undefined) {
    const created = await storeMissing(named, { object, dryRun: options.dryRun });
    if (created !== undefined) return objectAnswer(presenterOf(named).object(created), 201);
  }
  const updated = await storeChange(named, { change: () => object, dryRun: options.dryRun });
  return objectAnswer(presenterOf(named).object(updated));
}

/** Resources whose strategy has `AllowCreateOnUpdate`. */
const CREATED_BY_UPDATE: ReadonlySet<string> = new Set([
  "endpoints",
  "events",
  "services",
  "limitranges",
  "leases.coordination.k8s.io",
  "clusterroles.rbac.authorization.k8s.io",
  "clusterrolebindings.rbac.authorization.k8s.io",
  "roles.rbac.authorization.k8s.io",
  "rolebindings.rbac.authorization.k8s.io",
]);

/** The object in a request's body; warns or refuses what its kind does not know, as the request wishes. */
export async function decodeRequest(
  request: ApiRequest,
  info: ExpectedKind,
  fieldValidation: FieldValidation,
): Promise<KubeObject> {
  const { value, duplicates } = await readObjectBody(request, info);
  const { object, strictErrors } = decodeObject(value, info, duplicates);
  for (const text of enforceFieldValidation(strictErrors, fieldValidation, info)) request.warn(text);
  return object;
}
