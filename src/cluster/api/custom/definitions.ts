/** Gives definitions their names, and takes the objects of deleted ones along (apiextensions-apiserver's naming, establishing and finalizing controllers). */
import { DEFINITIONS, type Definition, isDefinition } from "../../../k8s/custom/definition.ts";
import {
  CLEANUP_FINALIZER,
  DELETION_COMPLETED,
  DELETION_RUNNING,
  type Finding,
  withCondition,
  withNames,
  withStoredVersion,
} from "../../../k8s/custom/definition-status.ts";
import type { KubeObject, ObjectName } from "../../../k8s/object.ts";
import type { Clock } from "../../../kernel/clock.ts";
import type { Store } from "../../store/store.ts";

export interface DefinitionsParts {
  readonly store: Store;
  readonly clock: Clock;
}

/** Until the returned function is called. A definition is served as soon as the write that made it returns. */
export function followDefinitions(parts: DefinitionsParts): () => void {
  const cleanups = new Map<string, () => void>();
  const stop = parts.store.watch(DEFINITIONS, {}, ({ type, object }) => {
    const name = object.metadata.name ?? "";
    if (type === "DELETED") {
      cleanups.get(name)?.();
      cleanups.delete(name);
      // Its names are free for those that had to do without.
      for (const other of definitionsOf(parts.store)) accept(parts, other);
    } else if (object.metadata.deletionTimestamp === undefined) {
      if (isDefinition(object)) accept(parts, object);
    } else if (!cleanups.has(name)) {
      // Before the first write: it comes back here as an event.
      cleanups.set(name, () => {});
      cleanups.set(name, startCleanup(parts, name));
    }
  });
  return () => {
    stop();
    for (const end of cleanups.values()) end();
  };
}

function definitionsOf(store: Store): Definition[] {
  return store.list(DEFINITIONS).items.filter(isDefinition);
}

function at(name: string): ObjectName {
  return { namespace: "", name };
}

function accept({ store, clock }: DefinitionsParts, { metadata, spec }: Definition): void {
  const name = metadata.name ?? "";
  if (store.get(DEFINITIONS, at(name)) === undefined) return;
  const others = definitionsOf(store).filter(
    (other) => other.metadata.name !== name && other.spec.group === spec.group,
  );
  store.update(
    DEFINITIONS,
    at(name),
    (current) =>
      isDefinition(current) ? withNames(withStoredVersion(current), others, clock.now()) : current,
    { subresource: "status" },
  );
}

/** Deletes all objects of the definition, and lets it go with the last of them. Gives what stops that. */
function startCleanup(parts: DefinitionsParts, name: string): () => void {
  const { store } = parts;
  setCondition(parts, name, DELETION_RUNNING);
  for (const object of store.list(name).items) {
    if (object.metadata.deletionTimestamp !== undefined) continue;
    store.delete(name, nameOf(object), { propagationPolicy: "Background" });
  }
  if (store.list(name).items.length === 0) {
    finish(parts, name);
    return () => {};
  }
  const stop = store.watch(name, { sendInitialEvents: false }, ({ type }) => {
    if (type !== "DELETED" || store.list(name).items.length > 0) return;
    stop();
    finish(parts, name);
  });
  return stop;
}

function nameOf({ metadata }: KubeObject): ObjectName {
  return { namespace: metadata.namespace ?? "", name: metadata.name ?? "" };
}

function setCondition({ store, clock }: DefinitionsParts, name: string, finding: Finding): void {
  store.update(
    DEFINITIONS,
    at(name),
    (current) => (isDefinition(current) ? withCondition(current, finding, clock.now()) : current),
    { subresource: "status" },
  );
}

function finish(parts: DefinitionsParts, name: string): void {
  setCondition(parts, name, DELETION_COMPLETED);
  parts.store.update(DEFINITIONS, at(name), (current) => {
    const finalizers = (current.metadata.finalizers ?? []).filter((one) => one !== CLEANUP_FINALIZER);
    return { ...current, metadata: { ...current.metadata, finalizers } };
  });
}
