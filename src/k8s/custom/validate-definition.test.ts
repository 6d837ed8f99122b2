/** What is refused of a definition, and where. */
import { describe, expect, test } from "bun:test";
import { formatFieldErrors } from "../field-error.ts";
import type { CustomSchema } from "./custom-schema.ts";
import type { Definition, DefinitionVersion } from "./definition.ts";
import { definitionWarnings } from "./definition-warnings.ts";
import { validateDefinition, validateDefinitionUpdate } from "./validate-definition.ts";

const VERSION: DefinitionVersion = {
  name: "v1",
  served: true,
  storage: true,
  schema: { openAPIV3Schema: { type: "object" } },
};

interface Changes extends Partial<Definition["spec"]> {
  readonly annotations?: Readonly<Record<string, string>>;
}

function definition({ annotations = {}, ...spec }: Changes = {}): Definition {
  const names = { plural: "tulips", singular: "tulip", kind: "Tulip", listKind: "TulipList" };
  const whole = { group: "flowers.example.com", scope: "Namespaced", names, versions: [VERSION], ...spec };
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `${whole.names.plural}.${whole.group}`, annotations },
    spec: { conversion: { strategy: "None" }, ...whole },
  };
}

function withSchema(openAPIV3Schema: CustomSchema, more: Partial<DefinitionVersion> = {}): Definition {
  return definition({ versions: [{ ...VERSION, ...more, schema: { openAPIV3Schema } }] });
}

function problems(given: Definition): string {
  return formatFieldErrors(validateDefinition(given));
}

const names = (changes: object) => ({
  plural: "tulips",
  singular: "tulip",
  kind: "Tulip",
  listKind: "Tulips",
  ...changes,
});

describe("names and versions", () => {
  test.each<[string, Changes, string]>([
    ["a whole definition", {}, "[]"],
    ["no scope", { scope: "" }, "spec.scope: Required value"],
    [
      "another scope",
      { scope: "Galaxy" },
      'spec.scope: Unsupported value: "Galaxy": supported values: "Cluster", "Namespaced"',
    ],
    [
      "a group of one label",
      { group: "flowers" },
      'spec.group: Invalid value: "flowers": should be a domain with at least one dot',
    ],
    [
      "a group of Kubernetes' own",
      { group: "flowers.k8s.io" },
      'metadata.annotations[api-approved.kubernetes.io]: Required value: protected groups must have approval annotation "api-approved.kubernetes.io", see https://github.com/kubernetes/enhancements/pull/1111',
    ],
    [
      "the name of what is built in",
      {
        group: "discovery.k8s.io",
        names: names({ plural: "endpointslices" }),
        annotations: { "api-approved.kubernetes.io": "unapproved" },
      },
      "spec.names.plural: Forbidden: pillion: endpointslices.discovery.k8s.io is built in",
    ],
    [
      "the same, approved",
      { group: "flowers.k8s.io", annotations: { "api-approved.kubernetes.io": "unapproved, an experiment" } },
      "[]",
    ],
    [
      "one kind for object and list",
      { names: names({ listKind: "Tulip" }) },
      'spec.names.listKind: Invalid value: "Tulip": kind and listKind may not be the same',
    ],
    ["no kind", { names: names({ kind: "" }) }, "spec.names.kind: Required value"],
    [
      "no version",
      { versions: [] },
      "spec.versions: Invalid value: []: must have exactly one version marked as storage version",
    ],
    [
      "two stored ones",
      { versions: [VERSION, { ...VERSION, name: "v2" }] },
      'spec.versions: Invalid value: ["v1","v2"]: must have exactly one version marked as storage version',
    ],
    [
      "one version twice",
      { versions: [VERSION, { ...VERSION, storage: false }] },
      'spec.versions: Invalid value: ["v1","v1"]: must contain unique version names',
    ],
    [
      "no schema",
      { versions: [{ name: "v1", served: true, storage: true }] },
      "spec.validation.openAPIV3Schema: Required value: schemas are required",
    ],
    [
      "a warning about what is not deprecated",
      { versions: [{ ...VERSION, deprecationWarning: "old" }] },
      'spec.versions[0].deprecationWarning: Invalid value: "old": can only be set for deprecated versions',
    ],
    [
      "a strategy that is none",
      { conversion: { strategy: "Magic" } },
      'spec.conversion.strategy: Unsupported value: "Magic": supported values: "None", "Webhook"',
    ],
    [
      "preserveUnknownFields",
      { preserveUnknownFields: true },
      "spec.preserveUnknownFields: Invalid value: true: cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead",
    ],
  ])("%s", (_, changes, expected) => {
    expect(problems(definition(changes))).toBe(expected);
  });

  test("with schemas that differ are named one by one", () => {
    const bad: DefinitionVersion = {
      ...VERSION,
      name: "v2",
      storage: false,
      schema: { openAPIV3Schema: {} },
    };
    expect(problems(definition({ versions: [VERSION, bad] }))).toBe(
      "spec.versions[1].schema.openAPIV3Schema.type: Required value: must not be empty at the root",
    );
  });
});

const ROOT = "spec.validation.openAPIV3Schema";
const of = (x: CustomSchema): CustomSchema => ({ type: "object", properties: { x } });

describe("a schema", () => {
  const list = (more: CustomSchema): CustomSchema =>
    of({ type: "array", items: { type: "string" }, ...more });
  const keyed = { "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"] } as const;
  const X = "properties[x]";

  test.each<[CustomSchema, string]>([
    [{ type: "array" }, 'type: Invalid value: "array": must be object at the root'],
    [
      { type: "object", additionalProperties: { type: "string" } },
      "additionalProperties: Forbidden: must not be used at the root",
    ],
    [of({}), `${X}.type: Required value: must not be empty for specified object fields`],
    [list({ items: {} }), `${X}.items.type: Required value: must not be empty for specified array items`],
    [
      of({ type: "null" }),
      `${X}.type: Forbidden: type cannot be set to null, use nullable as an alternative`,
    ],
    [
      of({ type: "array", uniqueItems: true, items: { type: "string" } }),
      `${X}.uniqueItems: Forbidden: uniqueItems cannot be set to true since the runtime complexity becomes quadratic`,
    ],
    [
      of({ type: "object", additionalProperties: false }),
      `${X}.additionalProperties: Forbidden: additionalProperties cannot be set to false`,
    ],
    [
      of({ type: "object", properties: {}, additionalProperties: true }),
      `${X}.additionalProperties: Forbidden: additionalProperties and properties are mutual exclusive`,
    ],
    [
      of({ type: "string", "x-kubernetes-int-or-string": true }),
      `${X}.type: Forbidden: must be empty if x-kubernetes-int-or-string is true`,
    ],
    [
      of({ type: "object", "x-kubernetes-preserve-unknown-fields": false }),
      `${X}.x-kubernetes-preserve-unknown-fields: Invalid value: false: must be true or undefined`,
    ],
    [
      of({ type: "object", "x-kubernetes-embedded-resource": true }),
      `${X}.properties: Required value: must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields`,
    ],
    [
      list({ "x-kubernetes-list-type": "ring" }),
      `${X}.x-kubernetes-list-type: Unsupported value: "ring": supported values: "atomic", "map", "set"`,
    ],
    [
      of({ type: "object", "x-kubernetes-list-type": "set" }),
      `${X}.type: Invalid value: "object": must be array if x-kubernetes-list-type is specified`,
    ],
    [
      list({ "x-kubernetes-list-type": "map" }),
      `${X}.x-kubernetes-list-map-keys: Required value: must not be empty if x-kubernetes-list-type is map`,
    ],
    [
      list(keyed),
      `${X}.items.type: Invalid value: "string": must be object if parent array's x-kubernetes-list-type is map`,
    ],
    [
      list({ ...keyed, items: { type: "object" } }),
      `${X}.x-kubernetes-list-map-keys[0]: Invalid value: "k": entries must all be names of item properties`,
    ],
    [
      list({ ...keyed, items: { type: "object", properties: { k: { type: "string" } } } }),
      `${X}.items.properties[k].default: Required value: this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property`,
    ],
    [
      {
        type: "object",
        properties: { metadata: { type: "object", properties: { labels: { type: "object" } } } },
      },
      "properties[metadata]: Forbidden: must not specify anything other than name and generateName, but metadata is implicitly specified",
    ],
    [
      of({ type: "object", anyOf: [{ type: "object" }] }),
      `${X}.anyOf[0].type: Forbidden: must be empty to be structural`,
    ],
    [
      of({ type: "object", anyOf: [{ properties: { y: { minLength: 1 } } }] }),
      `${X}.properties[y]: Required value: because it is defined in ${ROOT}.${X}.anyOf[0].properties[y]`,
    ],
    [
      of({ type: "object", properties: { y: { type: "integer" } }, default: { y: 1, z: 2 } }),
      `${X}.default: Invalid value: {"y":1,"z":2}: must not have unknown fields`,
    ],
    [
      of({ type: "integer", default: "x" }),
      `${X}.default: Invalid value: "string": in body must be of type integer: "string"`,
    ],
  ])("%j", (schema, expected) => {
    expect(problems(withSchema(schema))).toBe(`${ROOT}.${expected}`);
  });

  test.each<[CustomSchema]>([
    [of({ "x-kubernetes-int-or-string": true, anyOf: [{ type: "integer" }, { type: "string" }] })],
    [
      of({
        "x-kubernetes-int-or-string": true,
        allOf: [{ anyOf: [{ type: "integer" }, { type: "string" }] }],
      }),
    ],
    [of({ "x-kubernetes-preserve-unknown-fields": true })],
    [
      of({
        type: "object",
        properties: { y: { type: "string" } },
        oneOf: [{ required: ["y"] }, { not: { required: ["y"] } }],
      }),
    ],
    [{ type: "object", "x-kubernetes-preserve-unknown-fields": true }],
  ])("%j is structural", (schema) => {
    expect(problems(withSchema(schema))).toBe("[]");
  });
});

test.each<[Partial<DefinitionVersion>, string]>([
  [
    { additionalPrinterColumns: [{ name: "A", type: "text", jsonPath: ".spec" }] },
    'spec.additionalPrinterColumns[0].type: Invalid value: "text": must be one of boolean,date,integer,number,string',
  ],
  [
    { additionalPrinterColumns: [{ name: "A", type: "string", jsonPath: "spec" }] },
    'spec.additionalPrinterColumns[0].JSONPath: Invalid value: "spec": is an invalid json path: it must begin with a dot',
  ],
  [
    { subresources: { scale: { specReplicasPath: ".status.n", statusReplicasPath: ".status.n" } } },
    'spec.subresources.scale.specReplicasPath: Invalid value: ".status.n": should be a json path under .spec',
  ],
  [
    { selectableFields: [{ jsonPath: ".spec.nothing" }] },
    'spec.selectableFields[0].jsonPath: Invalid value: ".spec.nothing": is an invalid path: does not refer to a valid field',
  ],
])("%j is refused", (version, expected) => {
  expect(problems(withSchema({ type: "object" }, version))).toBe(expected);
});

describe("a rule", () => {
  const inner: CustomSchema = {
    type: "object",
    properties: {
      a: { type: "string" },
      "b-c": { type: "integer" },
      list: { type: "array", items: { type: "object", properties: { n: { type: "string" } } } },
      map: {
        type: "object",
        additionalProperties: { type: "object", properties: { v: { type: "integer" } } },
      },
      any: { type: "object", "x-kubernetes-preserve-unknown-fields": true },
    },
  };
  const ruled = (rule: string): Definition =>
    withSchema({
      type: "object",
      properties: { spec: { ...inner, "x-kubernetes-validations": [{ rule }] } },
    });

  test.each([
    ["self.nothing == 1", "nothing"],
    ["has(self.nothing)", "nothing"],
    ["self.a == oldSelf.nothing", "nothing"],
    ["self.list.all(x, x.m == 'a')", "m"],
    ["self.list[0].m == 'a'", "m"],
    ["self.map['k'].w > 1", "w"],
    ["self.metadata.name == 'a'", "metadata"],
    ["self.list.exists(x, self.nothing == x.n)", "nothing"],
  ])("%s speaks of what is not there", (rule, name) => {
    expect(problems(ruled(rule))).toBe(
      `${ROOT}.properties[spec].x-kubernetes-validations[0].rule: Invalid value: ${JSON.stringify(rule)}: compilation failed: undefined field '${name}'`,
    );
  });

  test.each([
    "has(self.a) && self.a == oldSelf.a",
    "self.b__dash__c > 1",
    "self.list.all(x, x.n == 'a') && self.list.map(x, x.n).exists(y, y == 'a')",
    "self.list.filter(x, x.n == 'a').all(y, y.n == 'a')",
    "self.map.all(k, self.map[k].v > 1) && self.map.anything.v > 1",
    "self.any.thing == 1",
    "cel.bind(x, self.list[0], x.n == 'a')",
    "self.?a.orValue('b') == 'b'",
    "quantity(self.a).isLessThan(quantity('1'))",
  ])("%s is fine", (rule) => {
    expect(problems(ruled(rule))).toBe("[]");
  });

  test("at the root sees kind and name", () => {
    const rule = "self.metadata.name.startsWith(self.kind.lowerAscii()) && self.apiVersion != ''";
    expect(problems(withSchema({ type: "object", "x-kubernetes-validations": [{ rule }] }))).toBe("[]");
  });
});

test("an established definition keeps its scope, its kind, and the versions in which objects are stored", () => {
  const status = {
    conditions: [{ type: "Established", status: "True" as const }],
    storedVersions: ["v0", "v1"],
  };
  const before: Definition = {
    ...definition({ versions: [VERSION, { ...VERSION, name: "v0", storage: false }] }),
    status,
  };
  const after = definition({ scope: "Cluster", names: names({ kind: "Rose" }) });
  expect(formatFieldErrors(validateDefinitionUpdate(after, before))).toBe(
    '[spec.scope: Invalid value: "Cluster": field is immutable, spec.names.kind: Invalid value: "Rose": field is immutable, ' +
      'status.storedVersions[0]: Invalid value: "v0": missing from spec.versions; v0 was previously a storage version, and must remain in ' +
      "spec.versions until a storage migration ensures no data remains persisted in v0 and removes v0 from status.storedVersions]",
  );
});

test("what means nothing here is warned of once, however many versions say it", () => {
  const schema = of({
    type: "string",
    format: "odd",
    "x-kubernetes-validations": [{ rule: "self.noSuch()" }],
  });
  const version = { ...VERSION, schema: { openAPIV3Schema: schema } };
  const given = definition({ versions: [version, { ...version, name: "v2", storage: false }] });
  expect(definitionWarnings(given)).toEqual([
    expect.stringMatching(
      /^pillion: spec\.versions\[0\]\.schema\.openAPIV3Schema\.properties\[x\]\.x-kubernetes-validations\[0\]\.rule is not enforced: ./,
    ),
    'unrecognized format "odd"',
  ]);
});
