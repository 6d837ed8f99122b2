import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import type { JsonObject } from "../../lib/frozen-json.ts";
import { mergeTypeOf, UNTYPED_OBJECT } from "../patch/merge-type.ts";
import { StatusError } from "../status-error.ts";
import { type Applied, applyFields } from "./apply-fields.ts";
import { isMember, pathsOf } from "./field-set.ts";
import type { Owner, Owners } from "./owners.ts";
import { itemElement } from "./path-element.ts";
import { updateOwners } from "./update-owners.ts";

const DEPLOYMENT = mergeTypeOf("apps/v1", "Deployment");
const TIME = "2026-11-03T08:00:00Z";
const LATER = "2026-11-03T09:00:00Z";

function applier(manager: string): Owner {
  return { manager, operation: "Apply", apiVersion: "apps/v1", subresource: "" };
}

function updater(manager: string): Owner {
  return { manager, operation: "Update", apiVersion: "apps/v1", subresource: "" };
}

interface State {
  readonly object: JsonObject;
  readonly owners: Owners;
}

const NOTHING: State = { object: { metadata: {} }, owners: [] };

function apply(state: State, manager: string, config: JsonObject, force = false): Applied {
  return applyFields({
    live: state.object,
    config,
    type: DEPLOYMENT,
    owners: state.owners,
    owner: applier(manager),
    time: TIME,
    force,
  });
}

function update(state: State, manager: string, object: JsonObject): State {
  const written = { before: state.object, after: object, type: DEPLOYMENT };
  return { object, owners: updateOwners(state.owners, written, { owner: updater(manager), time: TIME }) };
}

function fieldsOf({ owners }: State, manager: string): unknown {
  return owners.find((one) => one.manager === manager)?.fields;
}

function deployment(containers: readonly object[], rest: object = {}): JsonObject {
  return { spec: { ...rest, template: { spec: { containers } } } };
}

function refusal(run: () => unknown): StatusError {
  try {
    run();
  } catch (error) {
    if (error instanceof StatusError) return error;
    throw error;
  }
  throw new Error("nothing was refused");
}

describe("what an applier owns", () => {
  test("is what the manifest says: fields of structs, entries, items by key with themselves, atomic things whole", () => {
    const container = { name: "a", image: "x", ports: [{ containerPort: 80 }], args: ["b"] };
    const applied = apply(NOTHING, "me", {
      metadata: { labels: { app: "x" }, finalizers: ["a/b"], ownerReferences: [{ uid: "u", name: "n" }] },
      ...deployment([container], { replicas: 1, selector: { matchLabels: { app: "x" } } }),
    });
    expect(fieldsOf(applied, "me")).toEqual({
      "f:metadata": {
        "f:labels": { "f:app": {} },
        "f:finalizers": { 'v:"a/b"': {} },
        "f:ownerReferences": { 'k:{"uid":"u"}': {} },
      },
      "f:spec": {
        "f:replicas": {},
        "f:selector": {},
        "f:template": {
          "f:spec": {
            "f:containers": {
              'k:{"name":"a"}': {
                ".": {},
                "f:name": {},
                "f:image": {},
                "f:args": {},
                "f:ports": {
                  'k:{"containerPort":80,"protocol":"TCP"}': { ".": {}, "f:containerPort": {} },
                },
              },
            },
          },
        },
      },
    });
  });

  test("without a schema is every object on the way, and lists whole", () => {
    const { owners } = applyFields({
      live: { metadata: {} },
      config: { spec: { size: 1, hosts: [{ name: "a" }], empty: {} } },
      type: UNTYPED_OBJECT,
      owners: [],
      owner: applier("me"),
      time: TIME,
      force: false,
    });
    expect(owners[0]?.fields).toEqual({ "f:spec": { ".": {}, "f:size": {}, "f:hosts": {}, "f:empty": {} } });
  });
});

describe("what an updater owns", () => {
  test("is what it has changed, containers of it included where they are new", () => {
    const first = update(NOTHING, "a", { metadata: { labels: { x: "1" } }, spec: { replicas: 1 } });
    expect(fieldsOf(first, "a")).toEqual({
      "f:metadata": { "f:labels": { ".": {}, "f:x": {} } },
      "f:spec": { ".": {}, "f:replicas": {} },
    });
    const second = update(first, "b", { metadata: { labels: { x: "2" } }, spec: { replicas: 1 } });
    expect(fieldsOf(second, "a")).toEqual({
      "f:metadata": { "f:labels": {} },
      "f:spec": { ".": {}, "f:replicas": {} },
    });
    expect(fieldsOf(second, "b")).toEqual({ "f:metadata": { "f:labels": { "f:x": {} } } });
  });

  test("is gone with the field, and who owns nothing is gone too", () => {
    const first = update(NOTHING, "a", { metadata: { labels: { x: "1" } } });
    expect(update(first, "b", { metadata: {} }).owners).toEqual([]);
  });

  test("is left to one entry where there are too many of them", () => {
    let state = NOTHING;
    for (let at = 0; at < 15; at += 1) {
      const { object } = state;
      const spec = { ...(object["spec"] as object), [`replicas${at}`]: at };
      state = update(state, `m${at}`, { ...object, spec });
    }
    expect(state.owners.map(({ manager }) => manager).toSorted()).toContain("ancient-changes");
    expect(state.owners).toHaveLength(10);
  });
});

describe("apply", () => {
  test("removes what it no longer says, unless somebody else says it", () => {
    const first = apply(NOTHING, "me", { metadata: { labels: { a: "1", b: "2" } } });
    const shared = apply(first, "other", { metadata: { labels: { b: "2" } } });
    const dropped = apply(shared, "me", { metadata: { labels: {} } });
    expect(dropped.object).toEqual({ metadata: { labels: { b: "2" } } });
    expect(fieldsOf(dropped, "other")).toEqual({ "f:metadata": { "f:labels": { "f:b": {} } } });
  });

  test("removes an item of a list with what others have put in it, and leaves other items", () => {
    const first = apply(
      NOTHING,
      "me",
      deployment([
        { name: "a", image: "x" },
        { name: "b", image: "y" },
      ]),
    );
    const shared = apply(first, "other", deployment([{ name: "c", image: "z" }]));
    const { object } = apply(shared, "me", deployment([{ name: "a", image: "x" }]));
    expect(object).toMatchObject(
      deployment([
        { name: "a", image: "x" },
        { name: "c", image: "z" },
      ]),
    );
  });

  test("removes a struct with the last field that had an owner, but never what the cluster has put into a map", () => {
    const first = apply(NOTHING, "me", {
      metadata: { annotations: { mine: "1" } },
      spec: { strategy: { type: "Recreate" }, replicas: 1 },
    });
    const live = {
      metadata: { annotations: { mine: "1", "deployment.kubernetes.io/revision": "1" } },
      spec: { strategy: { type: "Recreate", rollingUpdate: { maxSurge: 1 } }, replicas: 1 },
    };
    const { object } = apply({ ...first, object: live }, "me", { spec: { replicas: 1 } });
    expect(object).toEqual({
      metadata: { annotations: { "deployment.kubernetes.io/revision": "1" } },
      spec: { replicas: 1 },
    });
  });

  test("conflicts where another owner's value differs, in the words of the real server", () => {
    const scaled = update({ ...NOTHING, object: { metadata: {}, spec: {} } }, "kubectl-client-side-apply", {
      metadata: {},
      spec: { replicas: 3 },
    });
    const error = refusal(() => apply(scaled, "me", { spec: { replicas: 1 } }));
    expect(error.message).toBe(
      'Apply failed with 1 conflict: conflict with "kubectl-client-side-apply" using apps/v1: .spec.replicas',
    );
    expect(error.toStatus()).toMatchObject({
      code: 409,
      reason: "Conflict",
      details: {
        causes: [
          {
            reason: "FieldManagerConflict",
            message: 'conflict with "kubectl-client-side-apply" using apps/v1',
            field: ".spec.replicas",
          },
        ],
      },
    });
  });

  test("lists several conflicts by owner", () => {
    const first = apply(NOTHING, "b", deployment([{ name: "x", image: "1" }]));
    const second = apply(first, "a", { spec: { replicas: 1, paused: true } });
    const config = deployment([{ name: "x", image: "2" }], { replicas: 2, paused: false });
    expect(refusal(() => apply(second, "me", config)).message).toBe(
      'Apply failed with 3 conflicts: conflicts with "a":\n- .spec.paused\n- .spec.replicas\n' +
        'conflicts with "b":\n- .spec.template.spec.containers[name="x"].image',
    );
  });

  test("takes over by force, shares what is equal", () => {
    const first = apply(NOTHING, "a", { spec: { replicas: 1, paused: true } });
    const forced = apply(first, "b", { spec: { replicas: 2, paused: true } }, true);
    expect(fieldsOf(forced, "a")).toEqual({ "f:spec": { "f:paused": {} } });
    expect(fieldsOf(forced, "b")).toEqual({ "f:spec": { "f:replicas": {}, "f:paused": {} } });
  });

  test("of the same keeps the time", () => {
    const config = { spec: { replicas: 1 } };
    const { object, owners } = apply(NOTHING, "me", config);
    const again = applyFields({
      live: object,
      config,
      type: DEPLOYMENT,
      owners,
      owner: applier("me"),
      time: LATER,
      force: false,
    });
    expect(again).toEqual({ object, owners });
  });
});

/** Manifests of a few fields of every topology. */
const config: fc.Arbitrary<JsonObject> = fc
  .record(
    {
      labels: fc.dictionary(fc.constantFrom("a", "b", "constructor"), fc.constantFrom("1", "2")),
      finalizers: fc.uniqueArray(fc.constantFrom("x/a", "x/b")),
      replicas: fc.constantFrom(1, 2),
      selector: fc.constantFrom({ matchLabels: { a: "1" } }, { matchLabels: { b: "1" } }),
      containers: fc.uniqueArray(
        fc.record(
          {
            name: fc.constantFrom("a", "b", "c"),
            image: fc.constantFrom("x", "y"),
            args: fc.array(fc.constantFrom("1", "2"), { maxLength: 2 }),
            ports: fc.uniqueArray(
              fc.record(
                { containerPort: fc.constantFrom(1, 2), protocol: fc.constantFrom("TCP", "UDP") },
                { requiredKeys: ["containerPort", "protocol"] },
              ),
              { selector: (port) => `${port.containerPort}${port.protocol}` },
            ),
          },
          { requiredKeys: ["name"] },
        ),
        { selector: ({ name }) => name },
      ),
    },
    { requiredKeys: [] },
  )
  .map(({ labels, finalizers, containers, ...spec }) => ({
    metadata: {
      ...(labels === undefined ? {} : { labels }),
      ...(finalizers === undefined ? {} : { finalizers }),
      generateName: "x",
    },
    spec: {
      paused: true,
      ...spec,
      ...(containers === undefined ? {} : { template: { spec: { containers } } }),
    },
  }));

const LISTS: Readonly<Record<string, readonly string[]>> = {
  "f:containers": ["name"],
  "f:ports": ["containerPort", "protocol"],
};

/** The value at a path, undefined where there is none. */
function valueAt(object: unknown, path: readonly string[]): unknown {
  let value = object;
  for (const [at, element] of path.entries()) {
    if (Array.isArray(value)) {
      const keys = LISTS[path[at - 1] ?? ""];
      const field =
        keys === undefined
          ? ({ topology: "set" } as const)
          : ({ topology: "map", listMapKeys: keys } as const);
      value = value.find((item) => itemElement(item, field) === element);
    } else {
      const name = element.slice(2);
      value = Object.hasOwn(value as object, name) ? (value as JsonObject)[name] : undefined;
    }
    if (value === undefined) return undefined;
  }
  return value;
}

function refuseStrayOwners({ object, owners }: State): void {
  for (const { fields } of owners) {
    for (const path of pathsOf(fields)) {
      if (valueAt(object, path) === undefined) throw new Error(`nothing at ${path.join(" ")}`);
    }
  }
}

describe("for any manifests", () => {
  test("applying twice is applying once", () => {
    fc.assert(
      fc.property(config, config, (foreign, mine) => {
        const start = apply(NOTHING, "other", foreign);
        const once = apply(start, "me", mine, true);
        expect(apply(once, "me", mine)).toEqual(once);
      }),
    );
  });

  test("what a manager applied before leaves no trace but fields of others", () => {
    fc.assert(
      fc.property(config, config, config, (foreign, first, second) => {
        const start = apply(NOTHING, "other", foreign);
        const both = apply(apply(start, "me", first, true), "me", second, true);
        expect(fieldsOf(both, "me")).toEqual(fieldsOf(apply(start, "me", second, true), "me"));
        const alone = apply(apply(NOTHING, "me", first), "me", second);
        expect(Bun.deepEquals(shape(alone.object), shape(apply(NOTHING, "me", second).object))).toBe(true);
      }),
    );
  });

  test("every owned path is in the object, whatever is applied and written", () => {
    const step = fc.record({ manager: fc.constantFrom("a", "b", "c"), config, isApply: fc.boolean() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 6 }), (steps) => {
        let state = NOTHING;
        for (const { manager, config: next, isApply } of steps) {
          state = isApply ? apply(state, manager, next, true) : update(state, manager, next);
          refuseStrayOwners(state);
          expect(
            state.owners.every(({ fields }) => Object.values(fields).length > 0 && !isMember(fields)),
          ).toBe(true);
        }
      }),
    );
  });
});

/** Empty lists and maps, which the server leaves out, left out. */
function shape(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(shape);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).map(([key, one]) => [key, shape(one)] as const);
  const kept = entries.filter(([, one]) => typeof one !== "object" || Object.keys(one ?? {}).length > 0);
  return Object.fromEntries(kept);
}
