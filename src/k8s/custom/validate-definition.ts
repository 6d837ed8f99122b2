/** What the API server refuses of a CustomResourceDefinition (`apiextensions/validation`). */
import { isJsonObject } from "../../lib/frozen-json.ts";
import { resources } from "../catalogue.ts";
import { type FieldError, forbidden, invalid, invalidEach, notSupported, required } from "../field-error.ts";
import { checkDns1035Label, checkDns1123Subdomain } from "../names.ts";
import type { KubeObject } from "../object.ts";
import { jsonEqual } from "../patch/json.ts";
import { type Definition, type DefinitionVersion, isTrue } from "./definition.ts";
import { validateColumns, validateScale, validateSelectableFields } from "./validate-definition-parts.ts";
import { validateDefinitionSchema } from "./validate-schema.ts";

const SPEC = "spec";
const APPROVAL = "api-approved.kubernetes.io";

/** Decoded, yet anything may be missing. */
export function validateDefinition(object: KubeObject): FieldError[] {
  const definition = completed(object);
  const { metadata, spec } = definition;
  const { names, group } = spec;
  const errors: FieldError[] = [];
  const name = metadata.name ?? "";
  const wanted = `${names.plural}.${group}`;
  if (name !== wanted)
    errors.push(invalid("metadata.name", name, `must be spec.names.plural+"."+spec.group`));
  // Its objects would be taken for those of the built-in one, in which everybody believes.
  if (resources.some(({ groupResource }) => groupResource === wanted))
    errors.push(forbidden("spec.names.plural", `pillion: ${wanted} is built in`));
  return [
    ...errors,
    ...validateGroup(definition),
    ...validateScope(spec.scope),
    ...validateNames(spec),
    ...validateVersions(spec.versions),
    ...validateConversion(spec),
    ...(spec.preserveUnknownFields === true ? [PRESERVED] : []),
  ];
}

/** With the fields that Go's struct always has. */
function completed(object: KubeObject): Definition {
  const spec: Partial<Definition["spec"]> = isJsonObject(object["spec"]) ? object["spec"] : {};
  const names = { plural: "", kind: "", ...spec.names };
  const versions = (spec.versions ?? []).map((version) => ({ ...UNNAMED, ...version }));
  return { ...object, spec: { group: "", scope: "", ...spec, names, versions } };
}

const UNNAMED: DefinitionVersion = { name: "", served: false, storage: false };

const PRESERVED = invalid(
  "spec.preserveUnknownFields",
  true,
  "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead",
);

/** `ValidateCustomResourceDefinitionUpdate`: what is established stays what it is. */
export function validateDefinitionUpdate(object: KubeObject, before: KubeObject): FieldError[] {
  const fresh = completed(object);
  const old = completed(before);
  const errors = validateDefinition(object);
  const fixed = [
    ["spec.group", fresh.spec.group, old.spec.group],
    ["spec.names.plural", fresh.spec.names.plural, old.spec.names.plural],
  ];
  if (isTrue(old, "Established")) {
    fixed.push(["spec.scope", fresh.spec.scope, old.spec.scope]);
    fixed.push(["spec.names.kind", fresh.spec.names.kind, old.spec.names.kind]);
  }
  for (const [field = "", value, former] of fixed) {
    if (value !== former) errors.push(invalid(field, value, "field is immutable"));
  }
  for (const stored of old.status?.storedVersions ?? []) {
    if (fresh.spec.versions.some(({ name }) => name === stored)) continue;
    const path = `status.storedVersions[${old.status?.storedVersions?.indexOf(stored)}]`;
    errors.push(
      invalid(
        path,
        stored,
        "missing from spec.versions; v1 was previously a storage version, and must remain in spec.versions until a storage migration ensures no data remains persisted in v1 and removes v1 from status.storedVersions".replaceAll(
          "v1",
          stored,
        ),
      ),
    );
  }
  return errors;
}

function validateGroup({ metadata, spec: { group } }: Definition): FieldError[] {
  const path = "spec.group";
  if (group === "") return [required(path)];
  const bad = checkDns1123Subdomain(group);
  if (bad.length > 0) return invalidEach(path, group, bad);
  if (!group.includes(".")) return [invalid(path, group, "should be a domain with at least one dot")];
  return validateApproval(group, metadata.annotations ?? {});
}

/** Groups of the Kubernetes project need a word from it (`api-approved.kubernetes.io`). */
function validateApproval(group: string, annotations: Readonly<Record<string, string>>): FieldError[] {
  if (!/(^|\.)(k8s|kubernetes)\.io$/.test(group)) return [];
  const given = annotations[APPROVAL] ?? "";
  const path = `metadata.annotations[${APPROVAL}]`;
  if (given === "") {
    const see = "see https://github.com/kubernetes/enhancements/pull/1111";
    return [required(path, `protected groups must have approval annotation "${APPROVAL}", ${see}`)];
  }
  if (given.startsWith("unapproved") || URL.canParse(given)) return [];
  return [
    invalid(
      path,
      given,
      'protected groups must have approval annotation "api-approved.kubernetes.io" with either a URL or a reason starting with "unapproved", see https://github.com/kubernetes/enhancements/pull/1111',
    ),
  ];
}

const SCOPES = ["Cluster", "Namespaced"] as const;

function validateScope(scope = ""): FieldError[] {
  if (scope === "") return [required("spec.scope")];
  return SCOPES.some((known) => known === scope) ? [] : [notSupported("spec.scope", scope, SCOPES)];
}

function validateNames({ names }: Definition["spec"]): FieldError[] {
  const path = `${SPEC}.names`;
  const { plural, singular = "", kind, listKind = "", shortNames = [], categories = [] } = names;
  const errors: FieldError[] = [];
  for (const [field, value] of Object.entries({ plural, singular, kind, listKind })) {
    if (value === "") errors.push(required(`${path}.${field}`));
    else errors.push(...invalidEach(`${path}.${field}`, value, checkDns1035Label(value.toLowerCase())));
  }
  for (const [field, list] of Object.entries({ shortNames, categories })) {
    for (const [index, value] of list.entries()) {
      errors.push(...invalidEach(`${path}.${field}[${index}]`, value, checkDns1035Label(value)));
    }
  }
  if (kind !== "" && kind === listKind) {
    errors.push(invalid(`${path}.listKind`, listKind, "kind and listKind may not be the same"));
  }
  return errors;
}

function validateVersions(versions: readonly DefinitionVersion[]): FieldError[] {
  const path = "spec.versions";
  const names = versions.map(({ name }) => name);
  const errors: FieldError[] = [];
  if (new Set(names).size < names.length) {
    errors.push(invalid(path, names, "must contain unique version names"));
  }
  if (versions.filter(({ storage }) => storage).length !== 1) {
    errors.push(invalid(path, names, "must have exactly one version marked as storage version"));
  }
  for (const [index, version] of versions.entries())
    errors.push(...validateVersion(version, `${path}[${index}]`));
  return [...errors, ...validateShared(versions)];
}

function validateVersion(
  { name, deprecated, deprecationWarning }: DefinitionVersion,
  path: string,
): FieldError[] {
  const errors = invalidEach(`${path}.name`, name, checkDns1035Label(name));
  if (deprecationWarning === undefined) return errors;
  const field = `${path}.deprecationWarning`;
  if (deprecated !== true) {
    errors.push(invalid(field, deprecationWarning, "can only be set for deprecated versions"));
  }
  if (deprecationWarning === "") errors.push(invalid(field, "", "must not be an empty string"));
  return errors;
}

type Part = "schema" | "subresources" | "additionalPrinterColumns" | "selectableFields";

/**
 * Parts that are the same in all versions stand above them in the internal type, and are named there:
 * `spec.validation.openAPIV3Schema` (`Convert_v1_CustomResourceDefinitionSpec_To_apiextensions`).
 */
function validateShared(versions: readonly DefinitionVersion[]): FieldError[] {
  const placed = (part: Part, shared: string, own: string): (readonly [string, DefinitionVersion])[] => {
    const [first, ...rest] = versions;
    if (first !== undefined && rest.every((version) => jsonEqual(version[part], first[part]))) {
      return [[`spec.${shared}`, first]];
    }
    return versions.map((version, index) => [`spec.versions[${index}].${own}`, version]);
  };
  return [
    ...placed("schema", "validation", "schema").flatMap(([path, version]) =>
      validateSchemaOf(version, `${path}.openAPIV3Schema`),
    ),
    ...placed("subresources", "subresources", "subresources").flatMap(([path, { subresources }]) =>
      subresources?.scale === undefined ? [] : validateScale(subresources.scale, `${path}.scale`),
    ),
    ...placed("additionalPrinterColumns", "additionalPrinterColumns", "additionalPrinterColumns").flatMap(
      ([path, { additionalPrinterColumns = [] }]) => validateColumns(additionalPrinterColumns, path),
    ),
    ...placed("selectableFields", "selectableFields", "selectableFields").flatMap(([path, version]) =>
      validateSelectableFields(version, path),
    ),
  ];
}

function validateSchemaOf({ schema }: DefinitionVersion, path: string): FieldError[] {
  const root = schema?.openAPIV3Schema;
  return root === undefined ? [required(path, "schemas are required")] : validateDefinitionSchema(root, path);
}

const STRATEGIES = ["None", "Webhook"] as const;

function validateConversion({ conversion }: Definition["spec"]): FieldError[] {
  const { strategy = "", webhook } = conversion ?? {};
  const path = "spec.conversion";
  if (strategy === "") return [required(`${path}.strategy`)];
  if (!STRATEGIES.some((known) => known === strategy)) {
    return [notSupported(`${path}.strategy`, strategy, STRATEGIES)];
  }
  if (strategy === "Webhook") {
    const why =
      'pillion: conversion by a webhook is not supported: use strategy "None", which changes the apiVersion alone';
    return [forbidden(`${path}.strategy`, why)];
  }
  const only = "should not be set when strategy is not set to Webhook";
  return webhook === undefined ? [] : [forbidden(`${path}.webhook`, only)];
}
