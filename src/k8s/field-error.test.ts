import { expect, test } from "bun:test";
import {
  duplicate,
  forbidden,
  invalid,
  invalidObject,
  notSupported,
  required,
  tooLong,
  tooMany,
} from "./field-error.ts";

test("invalidObject() prints one fault plainly and names it as a cause", () => {
  const error = invalidObject({ group: "", kind: "Pod", name: "x" }, [required("spec.containers[0].image")]);
  expect(error.toStatus()).toEqual({
    kind: "Status",
    apiVersion: "v1",
    metadata: {},
    status: "Failure",
    message: 'Pod "x" is invalid: spec.containers[0].image: Required value',
    reason: "Invalid",
    details: {
      name: "x",
      kind: "Pod",
      causes: [
        { reason: "FieldValueRequired", message: "Required value", field: "spec.containers[0].image" },
      ],
    },
    code: 422,
  });
});

test("invalidObject() puts several faults in brackets, each once, and qualifies the kind with its group", () => {
  const errors = [
    invalid("spec.replicas", -1, "must be greater than or equal to 0"),
    invalid("spec.replicas", -1, "must be greater than or equal to 0"),
    notSupported("spec.type", "a\nb", ["X", "Y"]),
  ];
  expect(invalidObject({ group: "apps", kind: "Deployment", name: "x" }, errors).message).toBe(
    'Deployment.apps "x" is invalid: [spec.replicas: Invalid value: -1: must be greater than or equal to 0, spec.type: Unsupported value: "a\\nb": supported values: "X", "Y"]',
  );
});

test("each fault is worded as Kubernetes words it", () => {
  const bodies = [
    duplicate("a", "x"),
    forbidden("a", "no"),
    tooLong("a", 63),
    tooMany("a", 3, 1),
    invalid("a", { b: "<" }, ""),
  ];
  expect(bodies.map((error) => error.body)).toEqual([
    'Duplicate value: "x"',
    "Forbidden: no",
    "Too long: may not be more than 63 bytes",
    "Too many: 3: must have at most 1 item",
    'Invalid value: {"b":"\\u003c"}',
  ]);
});
