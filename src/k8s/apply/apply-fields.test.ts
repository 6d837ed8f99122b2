import { describe, expect, test } from "bun:test";
import type { JsonObject } from "../../lib/frozen-json.ts";
import { UNTYPED_OBJECT } from "../patch/merge-type.ts";
import {
  apply,
  DEPLOYMENT,
  NOTHING,
  ownerOf,
  refusal,
  type State,
  TIME,
  update,
} from "./apply.test-support.ts";
import { applyFields } from "./apply-fields.ts";

const LATER = "2026-11-03T09:00:00Z";

const by = (manager: string, force = false) => ({ manager, force });

function fieldsOf({ owners }: State, manager: string): unknown {
  return owners.find((one) => one.manager === manager)?.fields;
}

function deployment(containers: readonly object[], rest: object = {}): JsonObject {
  return { spec: { ...rest, template: { spec: { containers } } } };
}

describe("what an applier owns", () => {
  test("is what the manifest says: fields of structs, entries, items by key with themselves, atomic things whole", () => {
    const container = { name: "a", image: "x", ports: [{ containerPort: 80 }], args: ["b"] };
    const applied = apply(NOTHING, by("me"), {
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
      owner: ownerOf(by("me"), "Apply"),
      time: TIME,
      force: false,
    });
    expect(owners[0]?.fields).toEqual({ "f:spec": { ".": {}, "f:size": {}, "f:hosts": {}, "f:empty": {} } });
  });
});

describe("what an updater owns", () => {
  test("is what it has changed, containers of it included where they are new", () => {
    const first = update(NOTHING, by("a"), { metadata: { labels: { x: "1" } }, spec: { replicas: 1 } });
    expect(fieldsOf(first, "a")).toEqual({
      "f:metadata": { "f:labels": { ".": {}, "f:x": {} } },
      "f:spec": { ".": {}, "f:replicas": {} },
    });
    const second = update(first, by("b"), { metadata: { labels: { x: "2" } }, spec: { replicas: 1 } });
    expect(fieldsOf(second, "a")).toEqual({
      "f:metadata": { "f:labels": {} },
      "f:spec": { ".": {}, "f:replicas": {} },
    });
    expect(fieldsOf(second, "b")).toEqual({ "f:metadata": { "f:labels": { "f:x": {} } } });
  });

  test("is gone with the field, and who owns nothing is gone too", () => {
    const first = update(NOTHING, by("a"), { metadata: { labels: { x: "1" } } });
    expect(update(first, by("b"), { metadata: {} }).owners).toEqual([]);
  });

  test("is left to one entry where there are too many of them", () => {
    let state = NOTHING;
    for (let at = 0; at < 15; at += 1) {
      const { object } = state;
      const spec = { ...(object["spec"] as object), [`replicas${at}`]: at };
      state = update(state, by(`m${at}`), { ...object, spec });
    }
    expect(state.owners.map(({ manager }) => manager).toSorted()).toContain("ancient-changes");
    expect(state.owners).toHaveLength(10);
  });
});

describe("apply", () => {
  test("removes what it no longer says, unless somebody else says it", () => {
    const first = apply(NOTHING, by("me"), { metadata: { labels: { a: "1", b: "2" } } });
    const shared = apply(first, by("other"), { metadata: { labels: { b: "2" } } });
    const dropped = apply(shared, by("me"), { metadata: { labels: {} } });
    expect(dropped.object).toEqual({ metadata: { labels: { b: "2" } } });
    expect(fieldsOf(dropped, "other")).toEqual({ "f:metadata": { "f:labels": { "f:b": {} } } });
  });

  test("removes an item of a list with what others have put in it, and leaves other items", () => {
    const first = apply(
      NOTHING,
      by("me"),
      deployment([
        { name: "a", image: "x" },
        { name: "b", image: "y" },
      ]),
    );
    const shared = apply(first, by("other"), deployment([{ name: "c", image: "z" }]));
    const { object } = apply(shared, by("me"), deployment([{ name: "a", image: "x" }]));
    expect(object).toMatchObject(
      deployment([
        { name: "a", image: "x" },
        { name: "c", image: "z" },
      ]),
    );
  });

  test("removes a struct with the last field that had an owner, but never what the cluster has put into a map", () => {
    const first = apply(NOTHING, by("me"), {
      metadata: { annotations: { mine: "1" } },
      spec: { strategy: { type: "Recreate" }, replicas: 1 },
    });
    const live = {
      metadata: { annotations: { mine: "1", "deployment.kubernetes.io/revision": "1" } },
      spec: { strategy: { type: "Recreate", rollingUpdate: { maxSurge: 1 } }, replicas: 1 },
    };
    const { object } = apply({ ...first, object: live }, by("me"), { spec: { replicas: 1 } });
    expect(object).toEqual({
      metadata: { annotations: { "deployment.kubernetes.io/revision": "1" } },
      spec: { replicas: 1 },
    });
  });

  test("conflicts where another owner's value differs, in the words of the real server", () => {
    const scaled = update(
      { ...NOTHING, object: { metadata: {}, spec: {} } },
      by("kubectl-client-side-apply"),
      {
        metadata: {},
        spec: { replicas: 3 },
      },
    );
    const error = refusal(() => apply(scaled, by("me"), { spec: { replicas: 1 } }));
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
    const first = apply(NOTHING, by("b"), deployment([{ name: "x", image: "1" }]));
    const second = apply(first, by("a"), { spec: { replicas: 1, paused: true } });
    const config = deployment([{ name: "x", image: "2" }], { replicas: 2, paused: false });
    expect(refusal(() => apply(second, by("me"), config)).message).toBe(
      'Apply failed with 3 conflicts: conflicts with "a":\n- .spec.paused\n- .spec.replicas\n' +
        'conflicts with "b":\n- .spec.template.spec.containers[name="x"].image',
    );
  });

  test("takes over by force, shares what is equal", () => {
    const first = apply(NOTHING, by("a"), { spec: { replicas: 1, paused: true } });
    const forced = apply(first, by("b", true), { spec: { replicas: 2, paused: true } });
    expect(fieldsOf(forced, "a")).toEqual({ "f:spec": { "f:paused": {} } });
    expect(fieldsOf(forced, "b")).toEqual({ "f:spec": { "f:replicas": {}, "f:paused": {} } });
  });

  test("of the same keeps the time", () => {
    const config = { spec: { replicas: 1 } };
    const { object, owners } = apply(NOTHING, by("me"), config);
    const again = applyFields({
      live: object,
      config,
      type: DEPLOYMENT,
      owners,
      owner: ownerOf(by("me"), "Apply"),
      time: LATER,
      force: false,
    });
    expect(again).toEqual({ object, owners });
  });
});
