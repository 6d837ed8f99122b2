/** Checks of references to the pod's own fields and resources, in variables and volumes (core `validation.go`). */
import type { ObjectFieldSelector, ResourceFieldSelector } from "../../../generated/kubernetes.ts";
import { type FieldError, invalid, invalidEach, notSupported, required } from "../field-error.ts";
import { checkQualifiedName } from "../names.ts";
import { isQuantity, quantityOf } from "../quantity.ts";
import type { Unchecked } from "./unchecked.ts";

export const ENV_FIELDS: readonly string[] = [
  "metadata.name",
  "metadata.namespace",
  "metadata.uid",
  "spec.nodeName",
  "spec.serviceAccountName",
  "status.hostIP",
  "status.hostIPs",
  "status.podIP",
  "status.podIPs",
];

export const VOLUME_FIELDS: readonly string[] = [
  "metadata.annotations",
  "metadata.labels",
  "metadata.name",
  "metadata.namespace",
  "metadata.uid",
];

/** Everything the downward API knows, before the place narrows it. */
const KNOWN_FIELDS: ReadonlySet<string> = new Set([...ENV_FIELDS, ...VOLUME_FIELDS, "spec.host"]);

const RESOURCES: readonly string[] = [
  "limits.cpu",
  "limits.ephemeral-storage",
  "limits.memory",
  "requests.cpu",
  "requests.ephemeral-storage",
  "requests.memory",
];
const BYTE_DIVISORS = ["1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei"];

/** `supported` is what may stand without a subscript here. */
export function validateFieldRef(
  ref: Unchecked<ObjectFieldSelector>,
  supported: readonly string[],
  path: string,
): FieldError[] {
  const { apiVersion = "v1", fieldPath = "" } = ref;
  const field = `${path}.fieldPath`;
  if (fieldPath === "") return [required(field)];
  const convert = (why: string) => [invalid(field, fieldPath, `error converting fieldPath: ${why}`)];
  if (apiVersion !== "v1") return convert(`unsupported pod version: ${apiVersion}`);
  const subscript = /^(.*?)\['(.*)'\]$/.exec(fieldPath);
  if (subscript !== null) {
    const [, base = "", key = ""] = subscript;
    if (base === "metadata.annotations")
      return invalidEach(path, key.toLowerCase(), checkQualifiedName(key.toLowerCase()));
    if (base === "metadata.labels") return invalidEach(path, key, checkQualifiedName(key));
    return convert(`field label does not support subscript: ${fieldPath}`);
  }
  if (!KNOWN_FIELDS.has(fieldPath)) return convert(`field label not supported: ${fieldPath}`);
  return supported.includes(fieldPath) ? [] : [notSupported(field, fieldPath, supported)];
}

export interface ResourceRefPlace {
  readonly path: string;
  /** In a volume the container must be named. */
  readonly inVolume: boolean;
}

export function validateResourceRef(
  ref: Unchecked<ResourceFieldSelector>,
  { path, inVolume }: ResourceRefPlace,
): FieldError[] {
  const { resource = "", containerName = "", divisor } = ref;
  const errors: FieldError[] = [];
  const isHugePages = /^(?:limits|requests)\.hugepages-/.test(resource);
  if (inVolume && containerName === "") errors.push(required(`${path}.containerName`));
  else if (resource === "") errors.push(required(`${path}.resource`));
  else if (!RESOURCES.includes(resource) && !isHugePages)
    errors.push(notSupported(`${path}.resource`, resource, RESOURCES));
  if (divisor === undefined || (isQuantity(divisor) && quantityOf(divisor).nanos === 0n)) return errors;
  const isCpu = resource.endsWith(".cpu");
  const allowed = isCpu ? ["1m", "1"] : BYTE_DIVISORS;
  if (allowed.includes(divisor)) return errors;
  const what = isHugePages
    ? "hugepages"
    : resource.endsWith(".memory")
      ? "memory"
      : "local ephemeral storage";
  const message = isCpu
    ? "only divisor's values 1m and 1 are supported with the cpu resource"
    : `only divisor's values ${BYTE_DIVISORS.join(", ")} are supported with the ${what} resource`;
  return [...errors, invalid(`${path}.divisor`, resource, message)];
}
