/** Whatever a client sends as a definition or as an object, the answer is an object or a `StatusError`, never a bug. */
import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { applyDefaults } from "../defaults.ts";
import type { KubeObject } from "../object.ts";
import { StatusError } from "../status-error.ts";
import { decodeObject } from "../strict-decode.ts";
import { refuseInvalidChange, refuseInvalidNew } from "../validation.ts";
import { anyObject, anySchema } from "./custom-schema.test-support.ts";
import { type Definition, infoOf } from "./definition.ts";
import { definitionWarnings } from "./definition-warnings.ts";

const KIND = {
  group: "apiextensions.k8s.io",
  version: "v1",
  kind: "CustomResourceDefinition",
  namespaced: false,
};

const KEYWORDS = [
  "type",
  "properties",
  "items",
  "additionalProperties",
  "required",
  "enum",
  "default",
  "pattern",
  "anyOf",
  "not",
  "nullable",
  "format",
  "minimum",
  "x-kubernetes-list-type",
  "x-kubernetes-list-map-keys",
  "x-kubernetes-validations",
  "x-kubernetes-int-or-string",
  "x-kubernetes-embedded-resource",
] as const;

const { junk } = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 5 },
    fc.constantFrom<unknown>(
      "object",
      "array",
      "string",
      "integer",
      "map",
      "(",
      "self.x",
      null,
      true,
      1,
      -1.5,
      "a",
    ),
    tie("junk"),
    fc.array(tie("value"), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom("a", "rule", "__proto__"), tie("value"), { maxKeys: 2 }),
  ),
  junk: fc.dictionary(fc.constantFrom(...KEYWORDS), tie("value"), { maxKeys: 5 }),
}));

function definition(schema: unknown): unknown {
  return {
    metadata: { name: "things.example.com" },
    spec: {
      group: "example.com",
      scope: "Namespaced",
      names: { plural: "things", kind: "Thing" },
      versions: [{ name: "v1", served: true, storage: true, schema: { openAPIV3Schema: schema } }],
    },
  };
}

/** Undefined where it is refused. */
function accepted(make: () => KubeObject): KubeObject | undefined {
  try {
    return make();
  } catch (error) {
    expect(error).toBeInstanceOf(StatusError);
    return undefined;
  }
}

function define(schema: unknown): Definition | undefined {
  const made = accepted(() => {
    const object = applyDefaults(decodeObject(definition(schema), KIND).object);
    refuseInvalidNew(object, KIND);
    return object;
  });
  if (made !== undefined) definitionWarnings(made);
  return made as Definition | undefined;
}

/** Through all that a new object goes through, and then a change of it. */
function send(given: Definition, first: object, second: object): void {
  const [version] = given.spec.versions;
  if (version === undefined) return;
  const info = infoOf(given, version);
  const decode = (value: object) => {
    const object = { ...value, metadata: { name: "t", namespace: "default" } };
    return accepted(() => decodeObject(object, info).object);
  };
  const [before, after] = [decode(first), decode(second)];
  if (before !== undefined) accepted(() => (refuseInvalidNew(before, info), before));
  if (before === undefined || after === undefined) return;
  accepted(() => (refuseInvalidChange(after, before, info), after));
}

test("junk for a schema is refused, or serves", () => {
  fc.assert(
    fc.property(junk, anyObject, anyObject, (schema, first, second) => {
      const made = define(schema);
      if (made !== undefined) send(made, first, second);
    }),
    { numRuns: 300 },
  );
});

test("a sound schema is accepted, and any object is refused or stored", () => {
  fc.assert(
    fc.property(anySchema, anyObject, anyObject, (schema, first, second) => {
      const made = define(schema);
      expect(made).toBeDefined();
      if (made !== undefined) send(made, first, second);
    }),
    { numRuns: 200 },
  );
});
