import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import type { JsonObject } from "../../lib/frozen-json.ts";
import { anyConfig, apply, DEPLOYMENT, NOTHING, type State, update } from "./apply.test-support.ts";
import { difference, intersection, isEmptySet, isMember, pathsOf } from "./field-set.ts";
import { itemElement } from "./path-element.ts";
import { presentFields } from "./present-fields.ts";

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

const me = { manager: "me", force: true };
const you = { manager: "you", force: true };
const step = fc.record({
  manager: fc.constantFrom("a", "b", "c"),
  config: anyConfig,
  isApply: fc.boolean(),
});
const history = fc.array(step, { maxLength: 6 });

interface Step {
  readonly manager: string;
  readonly config: JsonObject;
  readonly isApply: boolean;
}

function take(state: State, { manager, config, isApply }: Step): State {
  return isApply ? apply(state, { manager, force: true }, config) : update(state, { manager }, config);
}

const fieldsOf = ({ owners }: State, name: string) =>
  owners.find(({ manager, operation }) => manager === name && operation === "Apply")?.fields ?? {};

describe("for any manifests", () => {
  test("applying twice is applying once", () => {
    fc.assert(
      fc.property(history, anyConfig, (steps, mine) => {
        const once = apply(steps.reduce(take, NOTHING), me, mine);
        expect(apply(once, { manager: "me" }, mine)).toEqual(once);
      }),
    );
  });

  test("what a manager applied before leaves no trace but fields of others", () => {
    fc.assert(
      fc.property(anyConfig, anyConfig, anyConfig, (foreign, first, second) => {
        const start = apply(NOTHING, you, foreign);
        const both = apply(apply(start, me, first), me, second);
        expect(fieldsOf(both, "me")).toEqual(fieldsOf(apply(start, me, second), "me"));
        const alone = apply(apply(NOTHING, me, first), me, second);
        expect(Bun.deepEquals(shape(alone.object), shape(apply(NOTHING, me, second).object))).toBe(true);
      }),
    );
  });

  test("two who say different things never conflict, and both have what they say", () => {
    const isMine = (name: string) => name === "a";
    const share = ({ metadata, spec }: JsonObject, mine: boolean): JsonObject => {
      const { labels = {}, finalizers = [] } = metadata as { labels?: object; finalizers?: string[] };
      const { template } = spec as { template?: { spec: { containers: { name: string }[] } } };
      const containers = (template?.spec.containers ?? []).filter(({ name }) => isMine(name) === mine);
      return {
        metadata: {
          labels: Object.fromEntries(Object.entries(labels).filter(([name]) => isMine(name) === mine)),
          finalizers: finalizers.filter((name) => (name === "x/a") === mine),
        },
        spec: { template: { spec: { containers } } },
      };
    };
    fc.assert(
      fc.property(anyConfig, anyConfig, (one, other) => {
        const [mine, yours] = [share(one, true), share(other, false)];
        const both = apply(apply(NOTHING, { manager: "me" }, mine), { manager: "you" }, yours);
        const reversed = apply(apply(NOTHING, { manager: "you" }, yours), { manager: "me" }, mine);
        for (const state of [both, reversed]) {
          refuseStrayOwners(state);
          expect(fieldsOf(state, "me")).toEqual(fieldsOf(apply(NOTHING, me, mine), "me"));
          expect(fieldsOf(state, "you")).toEqual(fieldsOf(apply(NOTHING, you, yours), "you"));
          // Saying it again takes nothing from the other.
          expect(apply(state, { manager: "me" }, mine).object).toEqual(state.object);
        }
      }),
    );
  });

  test("every owned path is in the object, whatever is applied and written", () => {
    fc.assert(
      fc.property(history, (steps) => {
        let state = NOTHING;
        for (const next of steps) {
          state = take(state, next);
          refuseStrayOwners(state);
          expect(
            state.owners.every(({ fields }) => Object.values(fields).length > 0 && !isMember(fields)),
          ).toBe(true);
          for (const { fields } of state.owners)
            expect(presentFields(fields, state.object, DEPLOYMENT)).toBe(fields);
        }
      }),
    );
  });

  test("no two updaters own one field", () => {
    fc.assert(
      fc.property(history, (steps) => {
        const { owners } = steps.reduce(take, NOTHING);
        const updaters = owners.filter(({ operation }) => operation === "Update");
        for (const [at, { fields }] of updaters.entries())
          for (const other of updaters.slice(at + 1))
            expect(isEmptySet(intersection(fields, other.fields))).toBe(true);
      }),
    );
  });

  test("presentFields() leaves no stray path, whatever is taken out of the object", () => {
    fc.assert(
      fc.property(history, anyConfig, (steps, object) => {
        const { owners } = steps.reduce(take, NOTHING);
        const left = owners.map((one) => ({ ...one, fields: presentFields(one.fields, object, DEPLOYMENT) }));
        refuseStrayOwners({ object, owners: left });
        for (const [at, { fields }] of left.entries())
          expect(isEmptySet(difference(fields, owners[at]?.fields ?? {}))).toBe(true);
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
