/** Checks of environment variables (core `validation.go`). */
import type { EnvFromSource, EnvVar, EnvVarSource } from "../../../generated/kubernetes.ts";
import { type FieldError, invalid, invalidEach, required } from "../field-error.ts";
import { checkConfigMapKey, checkDns1123Subdomain, checkEnvName } from "../names.ts";
import { ENV_FIELDS, validateFieldRef, validateResourceRef } from "./field-reference.ts";
import { validateDescendingPath } from "./local-path.ts";
import type { Unchecked } from "./unchecked.ts";

const ONE_OF =
  "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`";

export function validateEnv(variables: readonly Unchecked<EnvVar>[], path: string): FieldError[] {
  return variables.flatMap(({ name = "", value = "", valueFrom }, index) => {
    const at = `${path}[${index}]`;
    const errors =
      name === "" ? [required(`${at}.name`)] : invalidEach(`${at}.name`, name, checkEnvName(name));
    return valueFrom === undefined
      ? errors
      : [...errors, ...validateValueFrom(valueFrom, value, `${at}.valueFrom`)];
  });
}

function validateValueFrom(source: Unchecked<EnvVarSource>, value: string, path: string): FieldError[] {
  const { fieldRef, resourceFieldRef, configMapKeyRef, secretKeyRef, fileKeyRef } = source;
  const errors: FieldError[] = [];
  if (fieldRef !== undefined) errors.push(...validateFieldRef(fieldRef, ENV_FIELDS, `${path}.fieldRef`));
  if (resourceFieldRef !== undefined) {
    errors.push(
      ...validateResourceRef(resourceFieldRef, { path: `${path}.resourceFieldRef`, inVolume: false }),
    );
  }
  if (configMapKeyRef !== undefined)
    errors.push(...validateKeyRef(configMapKeyRef, `${path}.configMapKeyRef`));
  if (secretKeyRef !== undefined) errors.push(...validateKeyRef(secretKeyRef, `${path}.secretKeyRef`));
  if (fileKeyRef !== undefined) errors.push(...validateFileRef(fileKeyRef, `${path}.fileKeyRef`));
  const sources = Object.keys(source).length;
  if (sources === 0) errors.push(invalid(path, "", ONE_OF));
  else if (value !== "") errors.push(invalid(path, "", "may not be specified when `value` is not empty"));
  else if (sources > 1)
    errors.push(invalid(path, "", "may not have more than one field specified at a time"));
  return errors;
}

function validateKeyRef(
  { name = "", key = "" }: { name?: string; key?: string },
  path: string,
): FieldError[] {
  const errors = invalidEach(`${path}.name`, name, checkDns1123Subdomain(name));
  if (key === "") return [...errors, required(`${path}.key`)];
  return [...errors, ...invalidEach(`${path}.key`, key, checkConfigMapKey(key))];
}

interface FileRef {
  readonly volumeName?: string;
  readonly path?: string;
  readonly key?: string;
}

function validateFileRef(
  { volumeName = "", path: file = "", key = "" }: FileRef,
  path: string,
): FieldError[] {
  const errors: FieldError[] = [];
  if (key === "") errors.push(required(`${path}.key`));
  else errors.push(...invalidEach(`${path}.key`, key, checkEnvName(key)));
  if (volumeName === "") errors.push(required(`${path}.volumeName`));
  if (file === "") errors.push(required(`${path}.path`));
  return [...errors, ...validateDescendingPath(file, `${path}.path`)];
}

export function validateEnvFrom(sources: readonly Unchecked<EnvFromSource>[], path: string): FieldError[] {
  return sources.flatMap(({ prefix = "", configMapRef, secretRef }, index) => {
    const at = `${path}[${index}]`;
    const errors = prefix === "" ? [] : invalidEach(`${at}.prefix`, prefix, checkEnvName(prefix));
    for (const [kind, ref] of Object.entries({ configMapRef, secretRef })) {
      if (ref === undefined) continue;
      const { name = "" } = ref;
      const field = `${at}.${kind}.name`;
      errors.push(
        ...(name === "" ? [required(field)] : invalidEach(field, name, checkDns1123Subdomain(name))),
      );
    }
    // Kubernetes reports these two without the index.
    if (configMapRef === undefined && secretRef === undefined) {
      errors.push(invalid(path, "", "must specify one of: `configMapRef` or `secretRef`"));
    } else if (configMapRef !== undefined && secretRef !== undefined) {
      errors.push(invalid(path, "", "may not have more than one field specified at a time"));
    }
    return errors;
  });
}
