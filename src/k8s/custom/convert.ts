/** Shows a stored custom resource in another version, and back: conversion strategy `None`, which changes the apiVersion alone. */
import { frozenJson } from "../../lib/frozen-json.ts";
import type { KubeObject } from "../object.ts";
import { defaultCustom } from "./default.ts";
import { type CustomVersion, storageVersion } from "./definition.ts";
import { pruneResource } from "./prune.ts";

const shown = new WeakMap<KubeObject, { readonly custom: CustomVersion; readonly object: KubeObject }>();

/**
 * A stored object as one version's clients see it: without what that version does not know, or no longer, with defaults that its
 * schema has got since the object was stored. Frozen; the stored object itself where nothing differs.
 */
export function readAs(object: KubeObject, custom: CustomVersion, apiVersion: string): KubeObject {
  const known = shown.get(object);
  if (known?.custom === custom) return known.object;
  const schema = custom.version.schema?.openAPIV3Schema;
  const pruned = pruneResource(object, schema);
  const converted = { ...defaultCustom(pruned, schema), apiVersion } as unknown as KubeObject;
  const result = frozenJson(converted, object);
  shown.set(object, { custom, object: result });
  return result;
}

/** An object as it is stored, whatever version it came in. */
export function storeAs(object: KubeObject, { definition, storedApiVersion }: CustomVersion): KubeObject {
  if (object.apiVersion === storedApiVersion) return object;
  const pruned = pruneResource(object, storageVersion(definition).schema?.openAPIV3Schema);
  return { ...(pruned as unknown as KubeObject), apiVersion: storedApiVersion };
}
