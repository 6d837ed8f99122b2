/** What the tests of all kinds' checks share: objects with their defaults, and what the API would say of them. */
import { applyDefaults } from "../defaults.ts";
import type { KubeObject } from "../object.ts";
import { StatusError } from "../status-error.ts";
import { refuseInvalidChange, refuseInvalidNew } from "../validation.ts";

export type Fields = Readonly<Record<string, unknown>>;

/** `type` is `apiVersion kind`, `fields` is everything but the metadata. */
export function objectOf(type: string, fields: Fields = {}, name = "x"): KubeObject {
  const [apiVersion = "", kind = ""] = type.split(" ");
  return applyDefaults({ apiVersion, kind, metadata: { name, namespace: "shop", uid: "u" }, ...fields });
}

/** As `field: message`; empty = accepted. */
export function faultsOf(check: () => void): string[] {
  try {
    check();
    return [];
  } catch (error) {
    if (!(error instanceof StatusError)) throw error;
    return (error.details?.causes ?? []).map(({ field, message }) => `${field}: ${message}`);
  }
}

export function faultsOfNew(object: KubeObject): string[] {
  return faultsOf(() => refuseInvalidNew(object, { namespaced: true }));
}

export function faultsOfChange(object: KubeObject, before: KubeObject): string[] {
  return faultsOf(() => refuseInvalidChange(object, before));
}
