/** Checks of the metadata that every object has (apimachinery `api/validation`). */
import type { ObjectMeta, OwnerReference } from "../../../generated/kubernetes.ts";
import { type FieldError, forbidden, invalid, invalidEach, required } from "../field-error.ts";
import { goJson } from "../go-format.ts";
import { checkDns1123Label, checkQualifiedName, type NameCheck } from "../names.ts";
import { validateAnnotations, validateLabels } from "./labels.ts";
import type { Unchecked } from "./unchecked.ts";

const META = "metadata";
const IMMUTABLE = "field is immutable";
const CORE_FINALIZERS: ReadonlySet<string> = new Set([
  "kubernetes",
  "orphan",
  "foregroundDeletion",
  "kubernetes.io/pv-protection",
  "kubernetes.io/pvc-protection",
  "kubernetes.io/vac-protection",
]);

export interface MetadataRules {
  readonly namespaced: boolean;
  readonly checkName: NameCheck;
}

/** For new objects. A generateName without a name is fine: the store makes the name. */
export function validateMetadata(
  metadata: ObjectMeta,
  { namespaced, checkName }: MetadataRules,
): FieldError[] {
  const { name = "", generateName = "", namespace = "", generation = 0 } = metadata;
  const errors: FieldError[] = [];
  if (generateName !== "") {
    errors.push(
      ...invalidEach(`${META}.generateName`, generateName, checkName(maskTrailingDash(generateName))),
    );
  }
  if (name === "" && generateName === "") {
    errors.push(required(`${META}.name`, "name or generateName is required"));
  } else if (name !== "") errors.push(...invalidEach(`${META}.name`, name, checkName(name)));
  if (!namespaced) {
    if (namespace !== "") errors.push(forbidden(`${META}.namespace`, "not allowed on this type"));
  } else if (namespace === "") errors.push(required(`${META}.namespace`));
  else errors.push(...invalidEach(`${META}.namespace`, namespace, checkDns1123Label(namespace)));
  if (generation < 0)
    errors.push(invalid(`${META}.generation`, generation, "must be greater than or equal to 0"));
  return [...errors, ...validateCommon(metadata)];
}

/** A generated name goes on behind the dash. */
function maskTrailingDash(prefix: string): string {
  return prefix.length > 1 && prefix.endsWith("-") ? `${prefix.slice(0, -2)}a` : prefix;
}

function validateCommon({ labels, annotations, ownerReferences, finalizers }: ObjectMeta): FieldError[] {
  return [
    ...validateLabels(labels, `${META}.labels`),
    ...validateAnnotations(annotations, `${META}.annotations`),
    ...validateOwners(ownerReferences ?? []),
    ...validateFinalizers(finalizers ?? []),
  ];
}

function validateOwners(owners: readonly Unchecked<OwnerReference>[]): FieldError[] {
  const path = `${META}.ownerReferences`;
  const errors = owners.flatMap((owner) => validateOwner(owner, path));
  const controllers = owners
    .filter(({ controller }) => controller === true)
    .map(({ kind, name }) => `${kind}/${name}`);
  for (const later of controllers.slice(1)) {
    const both = `Found "true" in references for ${controllers[0]} and ${later}`;
    errors.push(invalid(path, owners, `Only one reference can have Controller set to true. ${both}`));
  }
  return errors;
}

function validateOwner(owner: Unchecked<OwnerReference>, path: string): FieldError[] {
  const { apiVersion = "", kind = "", name = "", uid = "" } = owner;
  const errors: FieldError[] = [];
  if (apiVersion === "" || apiVersion.endsWith("/")) {
    errors.push(invalid(`${path}.apiVersion`, apiVersion, "version must not be empty"));
  }
  for (const [field, value] of Object.entries({ kind, name, uid })) {
    if (value === "") errors.push(invalid(`${path}.${field}`, value, "must not be empty"));
  }
  if (apiVersion === "v1" && kind === "Event") {
    errors.push(invalid(path, owner, "/v1, Kind=Event is disallowed from being an owner"));
  }
  return errors;
}

function validateFinalizers(finalizers: readonly string[]): FieldError[] {
  const path = `${META}.finalizers`;
  const errors = finalizers.flatMap((name) => invalidEach(path, name, checkQualifiedName(name)));
  if (finalizers.includes("orphan") && finalizers.includes("foregroundDeletion")) {
    const message = "finalizer orphan and foregroundDeletion cannot be both set";
    errors.push(invalid(path, finalizers, message));
  }
  for (const [index, name] of finalizers.entries()) {
    if (!name.includes("/") && !CORE_FINALIZERS.has(name)) {
      const message = "name is neither a standard finalizer name nor is it fully qualified";
      errors.push(invalid(`${path}[${index}]`, name, message));
    }
  }
  return errors;
}

/** What a client leaves out is filled in from the stored object. A uid that differs is a Conflict, which the store tells. */
const FIXED_FIELDS = ["name", "namespace", "deletionTimestamp", "deletionGracePeriodSeconds"] as const;

export function validateMetadataUpdate(metadata: ObjectMeta, before: ObjectMeta): FieldError[] {
  const errors: FieldError[] = [];
  if (before.deletionTimestamp !== undefined) {
    const added = (metadata.finalizers ?? []).filter((name) => !(before.finalizers ?? []).includes(name));
    if (added.length > 0) {
      const list = `[]string{${added.toSorted().map(goJson).join(", ")}}`;
      const message = `no new finalizers can be added if the object is being deleted, found new finalizers ${list}`;
      errors.push(forbidden(`${META}.finalizers`, message));
    }
  }
  for (const field of FIXED_FIELDS) {
    const value = metadata[field];
    if (value !== undefined && value !== before[field])
      errors.push(invalid(`${META}.${field}`, value, IMMUTABLE));
  }
  return [...errors, ...validateCommon(metadata)];
}
