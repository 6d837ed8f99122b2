/** Who gets which names, and how definitions end, without a server around it. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { DEFINITIONS, type Definition, isTrue } from "../../../k8s/custom/definition.ts";
import type { KubeObject } from "../../../k8s/object.ts";
import { ManualClock } from "../../../testing/manual-clock.ts";
import { at, openTestStore } from "../../../testing/store-fixtures.ts";
import type { Store } from "../../store/store.ts";
import { followDefinitions } from "./definitions.ts";

let store: Store;
let stop: () => void;
beforeEach(() => {
  store = openTestStore();
  stop = followDefinitions({ store, clock: new ManualClock() });
});
afterEach(() => {
  stop();
  store.close();
});

function definition(plural: string, names: object = {}): KubeObject {
  const kind = plural.toUpperCase();
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `${plural}.example.com` },
    spec: {
      group: "example.com",
      scope: "Namespaced",
      names: { plural, singular: `${plural}-one`, kind, listKind: `${kind}List`, ...names },
      versions: [
        { name: "v1", served: true, storage: true, schema: { openAPIV3Schema: { type: "object" } } },
      ],
    },
  };
}

function read(plural: string): Definition | undefined {
  return store.get(DEFINITIONS, at(`${plural}.example.com`, "")) as Definition | undefined;
}

function reason(plural: string): string | undefined {
  return read(plural)?.status?.conditions?.find(({ type }) => type === "NamesAccepted")?.reason;
}

function remove(plural: string): void {
  store.delete(DEFINITIONS, at(`${plural}.example.com`, ""));
}

function createObject(name: string, finalizers: readonly string[] = []): void {
  const metadata = { name, namespace: "default", finalizers: [...finalizers] };
  store.create("as.example.com", { apiVersion: "example.com/v1", kind: "AS", metadata });
}

describe("names", () => {
  test("are accepted at once, and told in the status", () => {
    store.create(DEFINITIONS, definition("as", { shortNames: ["a"] }));
    expect(read("as")?.status).toMatchObject({
      acceptedNames: { plural: "as", singular: "as-one", shortNames: ["a"], kind: "AS", listKind: "ASList" },
      storedVersions: ["v1"],
      conditions: [
        { type: "NamesAccepted", status: "True" },
        { type: "Established", status: "True", reason: "InitialNamesAccepted" },
      ],
    });
  });

  test.each([
    ["SingularConflict", { singular: "as" }],
    ["ShortNamesConflict", { shortNames: ["x", "as-one"] }],
    ["KindConflict", { kind: "AS" }],
    ["ListKindConflict", { listKind: "ASList" }],
  ])("of another one are a %s, until that one is gone", (why, names) => {
    store.create(DEFINITIONS, definition("as"));
    store.create(DEFINITIONS, definition("bs", names));
    const waiting = read("bs");
    expect([reason("bs"), waiting !== undefined && isTrue(waiting, "Established")]).toEqual([why, false]);
    remove("as");
    const free = read("bs");
    expect([reason("bs"), free !== undefined && isTrue(free, "Established")]).toEqual(["NoConflicts", true]);
  });

  test("of another group are nobody's business here", () => {
    store.create(DEFINITIONS, definition("as"));
    const other = definition("as");
    const spec = { ...(other["spec"] as object), group: "example.org" };
    store.create(DEFINITIONS, { ...other, metadata: { name: "as.example.org" }, spec });
    const found = store.get(DEFINITIONS, at("as.example.org", "")) as Definition;
    expect(isTrue(found, "Established")).toBe(true);
  });
});

describe("deletion", () => {
  test("takes the objects along, and waits for those that are held", () => {
    store.create(DEFINITIONS, definition("as"));
    createObject("free");
    createObject("held", ["example.com/hold"]);
    remove("as");
    expect(store.list("as.example.com").items.map(({ metadata }) => metadata.name)).toEqual(["held"]);
    expect(read("as")?.status?.conditions?.at(-1)).toMatchObject({
      type: "Terminating",
      status: "True",
      reason: "InstanceDeletionInProgress",
    });
    store.update("as.example.com", at("held"), (current) => ({
      ...current,
      metadata: { ...current.metadata, finalizers: [] },
    }));
    expect(read("as")).toBeUndefined();
  });

  test("is finished by the next engine where one has been stopped in between", () => {
    store.create(DEFINITIONS, definition("as"));
    createObject("left");
    stop();
    remove("as");
    expect(read("as")?.metadata.finalizers).toEqual(["customresourcecleanup.apiextensions.k8s.io"]);
    stop = followDefinitions({ store, clock: new ManualClock() });
    expect(read("as")).toBeUndefined();
  });

  test("leaves nothing behind for a definition of the same name", () => {
    store.create(DEFINITIONS, definition("as"));
    createObject("old");
    remove("as");
    expect(() => store.list("as.example.com")).toThrow("could not find the requested resource");
    store.create(DEFINITIONS, definition("as"));
    expect(store.list("as.example.com").items).toEqual([]);
  });
});
