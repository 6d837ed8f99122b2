/** Checks of claims, volumes and their classes (core and storage `validation.go`). */
import type { PersistentVolumeClaim, PersistentVolumeClaimSpec } from "../../../generated/kubernetes.ts";
import type { PersistentVolume, StorageClass } from "../claims.ts";
import { type FieldError, forbidden, invalid, invalidEach, notSupported, required } from "../field-error.ts";
import { checkDns1123Subdomain } from "../names.ts";
import { jsonEqual } from "../patch/json.ts";
import { compareQuantities, isQuantity, quantityOf } from "../quantity.ts";
import { validateLabelSelector } from "./labels.ts";
import { allowOneOf } from "./one-of.ts";
import { describeDifference } from "./spec-difference.ts";
import type { Unchecked } from "./unchecked.ts";

const ACCESS_MODES = ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];
const VOLUME_MODES = ["Block", "Filesystem"];
const RECLAIM_POLICIES = ["Delete", "Recycle", "Retain"];
const IMMUTABLE =
  "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims";

type ClaimSpec = Unchecked<PersistentVolumeClaimSpec>;

export function validateClaim({ spec }: PersistentVolumeClaim): FieldError[] {
  return validateClaimSpec(spec ?? {}, "spec");
}

export function validateClaimSpec(spec: ClaimSpec, path: string): FieldError[] {
  const { storageClassName = "", volumeMode, resources } = spec;
  const errors = [
    ...validateAccessModes(spec.accessModes ?? [], `${path}.accessModes`),
    ...validateLabelSelector(spec.selector, `${path}.selector`),
  ];
  const size = resources?.requests?.["storage"];
  if (size === undefined) errors.push(required(`${path}.resources[storage]`));
  else errors.push(...validatePositive(size, `${path}.resources[storage]`));
  if (storageClassName !== "")
    errors.push(
      ...invalidEach(`${path}.storageClassName`, storageClassName, checkDns1123Subdomain(storageClassName)),
    );
  return [...errors, ...allowOneOf(volumeMode, VOLUME_MODES, `${path}.volumeMode`)];
}

function validateAccessModes(modes: readonly string[], path: string): FieldError[] {
  if (modes.length === 0) return [required(path, "at least 1 access mode is required")];
  const unknown = modes.filter((mode) => !ACCESS_MODES.includes(mode));
  const errors = unknown.map((mode) => notSupported(path, mode, ACCESS_MODES));
  if (modes.length > 1 && modes.includes("ReadWriteOncePod"))
    errors.push(forbidden(path, "may not use ReadWriteOncePod with other access modes"));
  return errors;
}

function validatePositive(amount: string, path: string): FieldError[] {
  const isPositive = isQuantity(amount) && quantityOf(amount).nanos > 0n;
  return isPositive ? [] : [invalid(path, amount, "must be greater than zero")];
}

/** A claim may get its class and its volume once, and ask for more once it is bound. */
export function validateClaimUpdate(
  claim: PersistentVolumeClaim,
  before: PersistentVolumeClaim,
): FieldError[] {
  const errors = validateClaim(claim);
  const [spec, old]: [ClaimSpec, ClaimSpec] = [claim.spec ?? {}, before.spec ?? {}];
  const isBound = before.status?.phase === "Bound";
  const expected: ClaimSpec = {
    ...old,
    ...((old.volumeName ?? "") === "" && spec.volumeName !== undefined
      ? { volumeName: spec.volumeName }
      : {}),
    ...(old.storageClassName === undefined && spec.storageClassName !== undefined
      ? { storageClassName: spec.storageClassName }
      : {}),
    ...(isBound && spec.resources !== undefined
      ? {
          resources: {
            ...old.resources,
            ...(spec.resources.requests === undefined ? {} : { requests: spec.resources.requests }),
          },
        }
      : {}),
  };
  if (!jsonEqual(spec, expected)) {
    return [...errors, forbidden("spec", `${IMMUTABLE}\n${describeDifference(expected, spec, "spec")}`)];
  }
  return [...errors, ...validateSize(claim, before)];
}

function validateSize({ spec }: PersistentVolumeClaim, before: PersistentVolumeClaim): FieldError[] {
  const [wanted, old] = [spec, before.spec].map((one) => one?.resources?.requests?.["storage"] ?? "0");
  const capacity = before.status?.capacity?.["storage"] ?? old;
  const shrinks = compareQuantities(quantityOf(wanted ?? "0"), quantityOf(old ?? "0")) < 0;
  const isTooSmall = compareQuantities(quantityOf(wanted ?? "0"), quantityOf(capacity ?? "0")) <= 0;
  if (!shrinks || !isTooSmall) return [];
  return [forbidden("spec.resources.requests.storage", "field can not be less than status.capacity")];
}

/** Fields of a PersistentVolume's specification that are no source. */
const NO_SOURCE: ReadonlySet<string> = new Set([
  "accessModes",
  "capacity",
  "claimRef",
  "mountOptions",
  "nodeAffinity",
  "persistentVolumeReclaimPolicy",
  "storageClassName",
  "volumeAttributesClassName",
  "volumeMode",
]);

export function validateVolume({ spec = {} }: PersistentVolume): FieldError[] {
  const { capacity = {}, persistentVolumeReclaimPolicy: policy } = spec;
  const errors = validateAccessModes(spec.accessModes ?? [], "spec.accessModes");
  const { storage } = capacity;
  if (Object.keys(capacity).length === 0) errors.push(required("spec.capacity"));
  else if (storage === undefined || Object.keys(capacity).length > 1)
    errors.push(notSupported("spec.capacity", Object.keys(capacity)[0] ?? "", ["storage"]));
  else errors.push(...validatePositive(storage, "spec.capacity[storage]"));
  errors.push(...allowOneOf(policy, RECLAIM_POLICIES, "spec.persistentVolumeReclaimPolicy"));
  const sources = Object.keys(spec).filter((field) => !NO_SOURCE.has(field));
  if (sources.length === 0) errors.push(required("spec", "must specify a volume type"));
  for (const more of sources.slice(1))
    errors.push(forbidden(`spec.${more}`, "may not specify more than 1 volume type"));
  if (spec.hostPath !== undefined && (spec.hostPath.path ?? "") === "")
    errors.push(required("spec.hostPath.path"));
  if (spec.local === undefined) return errors;
  if ((spec.local.path ?? "") === "") errors.push(required("spec.local.path"));
  const hasAffinity = "nodeAffinity" in spec;
  return hasAffinity
    ? errors
    : [...errors, required("spec.nodeAffinity", "Local volume requires node affinity")];
}

export function validateStorageClass({ provisioner = "" }: StorageClass): FieldError[] {
  return provisioner === "" ? [required("provisioner")] : [];
}

export function validateStorageClassUpdate(now: StorageClass, before: StorageClass): FieldError[] {
  const fixed = ["parameters", "provisioner", "reclaimPolicy", "volumeBindingMode"] as const;
  const changed = fixed.filter((field) => !jsonEqual(now[field] ?? null, before[field] ?? null));
  return [
    ...validateStorageClass(now),
    ...changed.map((field) => forbidden(field, `updates to ${field} are forbidden.`)),
  ];
}
