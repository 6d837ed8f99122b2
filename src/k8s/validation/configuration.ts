/** Checks of ConfigMaps and Secrets (core `validation.go`). */
import type { ConfigMap, Secret } from "../../../generated/kubernetes.ts";
import { type FieldError, forbidden, invalid, invalidEach, required, tooLong } from "../field-error.ts";
import { byteLength, checkConfigMapKey } from "../names.ts";
import { jsonEqual } from "../patch/json.ts";

/** Per object, keys not counted. */
const MAX_BYTES = 1024 * 1024;
const FROZEN = "field is immutable when `immutable` is set";

/** Length of the bytes that base64 text stands for. */
function decodedLength(base64: string): number {
  return Buffer.byteLength(base64, "base64");
}

export function validateConfigMap({ data = {}, binaryData = {} }: ConfigMap): FieldError[] {
  const errors: FieldError[] = [];
  let total = 0;
  for (const [key, value] of Object.entries(data)) {
    errors.push(...invalidEach(`data[${key}]`, key, checkConfigMapKey(key)));
    if (Object.hasOwn(binaryData, key)) {
      errors.push(invalid(`data[${key}]`, key, "duplicate of key present in binaryData"));
    }
    total += byteLength(value);
  }
  for (const [key, value] of Object.entries(binaryData)) {
    errors.push(...invalidEach(`binaryData[${key}]`, key, checkConfigMapKey(key)));
    total += decodedLength(value);
  }
  return total > MAX_BYTES ? [...errors, tooLong("[]", MAX_BYTES)] : errors;
}

export function validateConfigMapUpdate(map: ConfigMap, before: ConfigMap): FieldError[] {
  return [...validateFrozen(map, before, ["data", "binaryData"]), ...validateConfigMap(map)];
}

interface Freezable {
  readonly immutable?: boolean;
}

function validateFrozen<T extends Freezable>(
  object: T,
  before: T,
  fields: readonly (keyof T & string)[],
): FieldError[] {
  if (before.immutable !== true) return [];
  const thawed = object.immutable === true ? [] : [forbidden("immutable", FROZEN)];
  const changed = fields.filter((field) => !jsonEqual(object[field] ?? {}, before[field] ?? {}));
  return [...thawed, ...changed.map((field) => forbidden(field, FROZEN))];
}

/** Keys that a type of Secret cannot do without; of a list of lists, one each. */
const REQUIRED_KEYS: Readonly<Record<string, readonly string[]>> = {
  "kubernetes.io/dockercfg": [".dockercfg"],
  "kubernetes.io/dockerconfigjson": [".dockerconfigjson"],
  "kubernetes.io/ssh-auth": ["ssh-privatekey"],
  "kubernetes.io/tls": ["tls.crt", "tls.key"],
};
const JSON_TYPES: ReadonlySet<string> = new Set([
  "kubernetes.io/dockercfg",
  "kubernetes.io/dockerconfigjson",
]);
const ACCOUNT_ANNOTATION = "kubernetes.io/service-account.name";

export function validateSecret(secret: Secret): FieldError[] {
  const { data = {} } = secret;
  const errors = Object.keys(data).flatMap((key) => invalidEach(`data[${key}]`, key, checkConfigMapKey(key)));
  const total = Object.values(data).reduce((sum, value) => sum + decodedLength(value), 0);
  if (total > MAX_BYTES) errors.push(tooLong("data", MAX_BYTES));
  return [...errors, ...validateSecretType(secret)];
}

function validateSecretType({ type = "", data = {}, metadata }: Secret): FieldError[] {
  if (type === "kubernetes.io/service-account-token") {
    const account = metadata?.annotations?.[ACCOUNT_ANNOTATION] ?? "";
    return account === "" ? [required(`metadata.annotations[${ACCOUNT_ANNOTATION}]`)] : [];
  }
  if (type === "kubernetes.io/basic-auth") {
    const has = Object.hasOwn(data, "username") || Object.hasOwn(data, "password");
    return has ? [] : [required("data[username]"), required("data[password]")];
  }
  const keys = Object.hasOwn(REQUIRED_KEYS, type) ? (REQUIRED_KEYS[type] ?? []) : [];
  return keys.flatMap((key) => {
    if (!Object.hasOwn(data, key)) return [required(`data[${key}]`)];
    const isWrong = JSON_TYPES.has(type) && !isJson(data[key] ?? "");
    return isWrong ? [invalid(`data[${key}]`, "<secret contents redacted>", "invalid JSON")] : [];
  });
}

function isJson(base64: string): boolean {
  try {
    JSON.parse(Buffer.from(base64, "base64").toString("utf8"));
    return true;
  } catch {
    return false;
  }
}

export function validateSecretUpdate(secret: Secret, before: Secret): FieldError[] {
  const { type = "" } = secret;
  const changed = type === (before.type ?? "") ? [] : [invalid("type", type, "field is immutable")];
  return [...changed, ...validateFrozen(secret, before, ["data"]), ...validateSecret(secret)];
}
