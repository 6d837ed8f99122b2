import { describe, expect, test } from "bun:test";
import type { JsonObject } from "../../lib/frozen-json.ts";
import { apply, DEPLOYMENT, NOTHING, refusal, type State, update } from "./apply.test-support.ts";
import { refuseUnclearItems } from "./check-config.ts";
import type { Owner } from "./owners.ts";
import { presentFields } from "./present-fields.ts";

function fieldsOf({ owners }: State): Record<string, unknown> {
  const name = ({ manager, operation, subresource }: Owner) =>
    [manager, operation, subresource].filter((part) => part !== "").join(" ");
  return Object.fromEntries(owners.map((one) => [name(one), one.fields]));
}

const me = { manager: "me" };
const you = { manager: "you" };
const pod = (spec: object, rest: object = {}) => ({ spec: { ...rest, template: { spec } } });
const specOf = ({ object }: State) => (object["spec"] as { template: { spec: JsonObject } }).template.spec;

describe("who owns what", () => {
  test("a value that two apply alike is both's, and stays while one of them says it", () => {
    const both = apply(apply(NOTHING, me, { spec: { paused: true } }), you, { spec: { paused: true } });
    expect(fieldsOf(both)).toEqual({
      "me Apply": { "f:spec": { "f:paused": {} } },
      "you Apply": { "f:spec": { "f:paused": {} } },
    });
    const one = apply(both, me, {});
    expect(one.object).toEqual({ metadata: {}, spec: { paused: true } });
    expect(fieldsOf(one)).toEqual({ "you Apply": { "f:spec": { "f:paused": {} } } });
    // Neither may change it alone.
    expect(refusal(() => apply(both, me, { spec: { paused: false } })).message).toBe(
      'Apply failed with 1 conflict: conflict with "you": .spec.paused',
    );
  });

  test("what belongs together has one owner, and goes as a whole", () => {
    const selector = { matchLabels: { a: "1" } };
    const mine = apply(NOTHING, me, { spec: { selector } });
    const other = { spec: { selector: { matchLabels: { b: "1" } } } };
    expect(refusal(() => apply(mine, you, other)).message).toBe(
      'Apply failed with 1 conflict: conflict with "me": .spec.selector',
    );
    const yours = apply(mine, { ...you, force: true }, other);
    expect(yours.object["spec"]).toEqual({ selector: { matchLabels: { b: "1" } } });
    expect(fieldsOf(yours)).toEqual({ "you Apply": { "f:spec": { "f:selector": {} } } });
  });

  test("a list without keys belongs together too", () => {
    const mine = apply(NOTHING, me, pod({ containers: [{ name: "a", args: ["x"], command: ["c"] }] }));
    const next = apply(mine, { ...you, force: true }, pod({ containers: [{ name: "a", args: ["y", "z"] }] }));
    expect(specOf(next)).toEqual({ containers: [{ name: "a", args: ["y", "z"], command: ["c"] }] });
  });

  test("ports are told apart by their protocol, which is TCP when nobody says", () => {
    const ports = [{ containerPort: 53 }, { containerPort: 53, protocol: "UDP", name: "dns" }];
    const mine = apply(NOTHING, me, pod({ containers: [{ name: "a", ports }] }));
    const live = pod({
      containers: [{ name: "a", ports: [{ containerPort: 53, protocol: "TCP" }, ports[1]] }],
    });
    const yours = apply({ ...mine, object: { metadata: {}, ...live } }, you, {
      ...pod({ containers: [{ name: "a", ports: [{ containerPort: 53, protocol: "TCP" }] }] }),
    });
    expect(yours.object["spec"]).toEqual(live.spec);
    const left = apply(yours, me, pod({ containers: [{ name: "a", ports: [{ containerPort: 53 }] }] }));
    expect(specOf(left)).toEqual({
      containers: [{ name: "a", ports: [{ containerPort: 53, protocol: "TCP" }] }],
    });
  });

  test("an empty map says that there is one, and is in nobody's way", () => {
    const mine = apply(NOTHING, me, { metadata: { labels: {} } });
    expect(fieldsOf(mine)).toEqual({ "me Apply": { "f:metadata": { "f:labels": {} } } });
    const filled = apply(mine, you, { metadata: { labels: { a: "1" } } });
    expect(filled.object["metadata"]).toEqual({ labels: { a: "1" } });
    const again = apply(filled, me, { metadata: { labels: {} } });
    expect(again.object).toEqual(filled.object);
    expect(apply(again, you, { metadata: {} }).object["metadata"]).toEqual({ labels: {} });
  });

  test("replicas go over to who scales, and stay his when the manifest no longer says them", () => {
    const mine = apply(NOTHING, me, { spec: { replicas: 1, paused: true } });
    const scaler = { manager: "kubectl", subresource: "scale" };
    const scaled = update(mine, scaler, { metadata: {}, spec: { replicas: 3, paused: true } });
    expect(fieldsOf(scaled)).toEqual({
      "me Apply": { "f:spec": { "f:paused": {} } },
      "kubectl Update scale": { "f:spec": { "f:replicas": {} } },
    });
    expect(refusal(() => apply(scaled, me, { spec: { replicas: 1, paused: true } })).message).toBe(
      'Apply failed with 1 conflict: conflict with "kubectl" with subresource "scale" using apps/v1: .spec.replicas',
    );
    expect(apply(scaled, me, { spec: { paused: true } }).object["spec"]).toEqual({
      replicas: 3,
      paused: true,
    });
  });

  test("one manager who applies to the object and to its scale is two owners", () => {
    const mine = apply(NOTHING, me, { spec: { replicas: 1 } });
    const scale = { ...me, subresource: "scale" };
    expect(refusal(() => apply(mine, scale, { spec: { replicas: 2 } })).message).toBe(
      'Apply failed with 1 conflict: conflict with "me": .spec.replicas',
    );
    expect(fieldsOf(apply(mine, { ...scale, force: true }, { spec: { replicas: 2 } }))).toEqual({
      "me Apply scale": { "f:spec": { "f:replicas": {} } },
    });
  });

  test("what an update takes out has no owner any more, whoever it was", () => {
    const mine = apply(NOTHING, me, { metadata: { labels: { a: "1", b: "1" } } });
    const after = update(mine, you, { metadata: { labels: { b: "1" } } });
    expect(fieldsOf(after)).toEqual({ "me Apply": { "f:metadata": { "f:labels": { "f:b": {} } } } });
  });
});

describe("presentFields()", () => {
  const owned = {
    "f:metadata": { "f:labels": { ".": {}, "f:a": {}, "f:b": {} } },
    "f:spec": {
      "f:selector": {},
      "f:template": {
        "f:spec": {
          "f:containers": {
            'k:{"name":"a"}': { ".": {}, "f:name": {}, "f:image": {} },
            'k:{"name":"b"}': { ".": {}, "f:name": {} },
          },
        },
      },
    },
  };

  test("leaves out what is gone, with what is in it", () => {
    const object = {
      metadata: { labels: { b: "1" } },
      ...pod({ containers: [{ name: "a" }] }),
    };
    expect(presentFields(owned, object, DEPLOYMENT)).toEqual({
      "f:metadata": { "f:labels": { ".": {}, "f:b": {} } },
      "f:spec": {
        "f:template": { "f:spec": { "f:containers": { 'k:{"name":"a"}': { ".": {}, "f:name": {} } } } },
      },
    });
    expect(presentFields(owned, {}, DEPLOYMENT)).toEqual({});
  });

  test("is the same set where all is there, and keeps an object that has become empty", () => {
    const object = {
      metadata: { labels: { a: "1", b: "1" } },
      ...pod({ containers: [{ name: "a", image: "i" }, { name: "b" }] }, { selector: {} }),
    };
    expect(presentFields(owned, object, DEPLOYMENT)).toBe(owned);
    expect(presentFields(owned, { metadata: { labels: {} } }, DEPLOYMENT)).toEqual({
      "f:metadata": { "f:labels": {} },
    });
  });
});

describe("refuseUnclearItems()", () => {
  const check = (config: JsonObject) => {
    const object = { namespace: "shop", name: "web", apiVersion: "apps/v1", kind: "Deployment" };
    refuseUnclearItems({ config, type: DEPLOYMENT, object });
  };
  const FAILED = "failed to create typed patch object (shop/web; apps/v1, Kind=Deployment): ";
  const LIST = ".spec.template.spec.containers";

  test.each<[JsonObject, string]>([
    [pod({ containers: [{ name: "a" }, { name: "b" }] }), ""],
    [pod({ containers: [{ name: "a", args: ["x", "x"], command: ["x"] }] }), ""],
    [
      pod({ containers: [{ name: "a" }, { name: "a" }] }),
      `${FAILED}${LIST}: duplicate entries for key [name="a"]`,
    ],
    [
      pod({
        containers: [{ name: "a", ports: [{ containerPort: 80 }, { containerPort: 80, protocol: "TCP" }] }],
      }),
      `${FAILED}${LIST}[name="a"].ports: duplicate entries for key [containerPort=80,protocol="TCP"]`,
    ],
    [
      { metadata: { finalizers: ["a/b", "a/b"] } },
      `${FAILED}.metadata.finalizers: duplicate entries for key [="a/b"]`,
    ],
    [
      pod({ containers: [{ image: "i" }, { name: "b" }] }),
      `${FAILED}${LIST}: element 0: associative list with keys has an element that omits key field "name" (and doesn't have default value)`,
    ],
    [
      pod({ containers: ["a"] }),
      `${FAILED}${LIST}: element 0: associative list with keys may not have non-map elements`,
    ],
    [
      {
        metadata: { finalizers: ["a/b", "a/b"] },
        ...pod({ containers: [{ name: "a" }, { name: "a" }] }),
      },
      `${FAILED}errors:\n  .metadata.finalizers: duplicate entries for key [="a/b"]\n  ${LIST}: duplicate entries for key [name="a"]`,
    ],
  ])("%j", (config, expected) => {
    if (expected === "") check(config);
    else expect(refusal(() => check(config)).message).toBe(expected);
  });
});
