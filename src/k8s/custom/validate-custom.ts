/** What the API server refuses to store of a custom resource: `Invalid`, with every mistake at once. */
import { type FieldError, invalidObject } from "../field-error.ts";
import { checkDns1123Subdomain } from "../names.ts";
import type { KubeObject } from "../object.ts";
import { validateMetadata, validateMetadataUpdate } from "../validation/metadata.ts";
import type { CustomTarget } from "./decode-custom.ts";
import { validateRules } from "./validate-rules.ts";
import { validateExtensions } from "./validate-lists.ts";
import { validateValue } from "./validate-value.ts";

type Target = CustomTarget & { readonly namespaced: boolean };

/** For a new object with its name and namespace. Throws StatusError `Invalid`. */
export function refuseInvalidCustom(object: KubeObject, target: Target): void {
  const { namespaced } = target;
  const metadata = validateMetadata(object.metadata, { namespaced, checkName: checkDns1123Subdomain });
  refuse(object, target, [...metadata, ...validateContent(object, target)]);
}

/** For the change of a stored object, its status included. Throws StatusError `Invalid`. */
export function refuseInvalidCustomChange(object: KubeObject, before: KubeObject, target: Target): void {
  const metadata = validateMetadataUpdate(object.metadata, before.metadata);
  refuse(object, target, [...metadata, ...validateContent(object, target, before)]);
}

function validateContent(object: KubeObject, target: CustomTarget, before?: KubeObject): FieldError[] {
  const schema = target.custom.version.schema?.openAPIV3Schema;
  if (schema === undefined) return [];
  const at = { value: object, path: "", ...(before === undefined ? {} : { old: before }) };
  const errors = [...validateValue(at, schema), ...validateExtensions(object, schema, at)];
  return [...errors, ...validateRules({ object, before, schema, errors })];
}

function refuse(object: KubeObject, { group, kind }: CustomTarget, errors: readonly FieldError[]): void {
  if (errors.length > 0) throw invalidObject({ group, kind, name: object.metadata.name ?? "" }, errors);
}
