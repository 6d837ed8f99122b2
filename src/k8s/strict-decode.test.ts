import { describe, expect, test } from "bun:test";
import { assert, dictionary, jsonValue, property, string } from "fast-check";
import { apiVersionOf, resources } from "./catalogue.ts";
import { parseJsonText } from "./json-text.ts";
import { StatusError } from "./status-error.ts";
import { decodeObject, enforceFieldValidation, type ExpectedKind, unrecognized } from "./strict-decode.ts";

const POD: ExpectedKind = { group: "", version: "v1", kind: "Pod" };
const SECRET: ExpectedKind = { group: "", version: "v1", kind: "Secret" };
const DEPLOYMENT: ExpectedKind = { group: "apps", version: "v1", kind: "Deployment" };
const EVENT: ExpectedKind = { group: "", version: "v1", kind: "Event" };

function messageOf(value: unknown, expected = POD): string {
  try {
    decodeObject(value, expected);
  } catch (error) {
    if (error instanceof StatusError && error.reason === "BadRequest") return error.message;
    throw error;
  }
  return "no error";
}

function container(fields: object): object {
  return { spec: { containers: [fields] } };
}

describe("decodeObject()", () => {
  test("drops and names unknown fields", () => {
    const { object, strictErrors } = decodeObject(
      {
        metadata: { name: "web", lables: {} },
        spec: {
          bogus: { deep: 1 },
          containers: [{ name: "a" }, { name: "b", imag: "x", env: [{ name: "A", vlaue: 1 }] }],
        },
        Spec: {},
        constructor: 1,
      },
      POD,
    );
    expect(strictErrors).toEqual([
      'unknown field "metadata.lables"',
      'unknown field "spec.bogus"',
      'unknown field "spec.containers[1].imag"',
      'unknown field "spec.containers[1].env[0].vlaue"',
      'unknown field "Spec"',
      'unknown field "constructor"',
    ]);
    expect(object).toEqual({
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "web" },
      spec: {
        containers: [
          { name: "a", resources: {} },
          { name: "b", env: [{ name: "A" }], resources: {} },
        ],
      },
      status: {},
    });
  });

  test("leaves out zero values where Go does, and only there", () => {
    const template = { metadata: { creationTimestamp: null }, spec: { hostNetwork: false, containers: [] } };
    const value = {
      metadata: { name: "", labels: {}, annotations: null, finalizers: [] },
      spec: {
        replicas: 0,
        paused: false,
        selector: {},
        template,
        strategy: { type: "" },
        minReadySeconds: 0,
      },
      status: { replicas: 0 },
    };
    expect(decodeObject(value, DEPLOYMENT).object as unknown).toEqual({
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: {},
      spec: { replicas: 0, selector: {}, template: { metadata: {}, spec: { containers: [] } }, strategy: {} },
      status: {},
    });
  });

  test("writes what Go always writes", () => {
    expect(decodeObject({ involvedObject: { name: "web" } }, EVENT).object as unknown).toEqual({
      apiVersion: "v1",
      kind: "Event",
      metadata: {},
      involvedObject: { name: "web" },
      source: {},
      reportingComponent: "",
      reportingInstance: "",
    });
  });

  test("makes quantities and times canonical", () => {
    const resources = { limits: { cpu: 0.5, memory: "2048Mi" }, requests: { cpu: "1000m", memory: 1 } };
    const value = {
      metadata: { creationTimestamp: "2026-11-03T10:15:00.7+02:00" },
      spec: { containers: [{ name: "a", resources }] },
    };
    expect(decodeObject(value, POD).object).toMatchObject({
      metadata: { creationTimestamp: "2026-11-03T08:15:00Z" },
      spec: {
        containers: [
          { resources: { limits: { cpu: "500m", memory: "2Gi" }, requests: { cpu: "1", memory: "1" } } },
        ],
      },
    });
  });

  test("keeps the six digits of a MicroTime, and takes no other number of them", () => {
    const eventTime = (text: string) => decodeObject({ eventTime: text }, EVENT).object["eventTime"];
    expect(eventTime("2026-11-03T08:15:00.123456Z")).toBe("2026-11-03T08:15:00.123456Z");
    expect(eventTime("2026-11-03T08:15:00.500000+01:00")).toBe("2026-11-03T07:15:00.500000Z");
    const layout = 'as "2006-01-02T15:04:05.000000Z07:00"';
    for (const [text, rest, as] of [
      ["2026-11-03T08:15:00.955Z", ".955Z", ".000000"],
      ["2026-11-03T08:15:00Z", "Z", ".000000"],
      ["2026-11-03T08:15:00+01:00", "+01:00", ".000000"],
      ["2026-11-03T08:15:00.1234567Z", "7Z", "Z07:00"],
    ] as const) {
      const words = `parsing time "${text}" ${layout}: cannot parse "${rest}" as "${as}"`;
      expect(() => eventTime(text)).toThrow(words);
    }
  });

  test("keeps keys such as __proto__ as keys", () => {
    const value = JSON.parse(
      '{"metadata":{"annotations":{"__proto__":"a","constructor":"b"}},"__proto__":{"x":1}}',
    );
    const { object, strictErrors } = decodeObject(value, POD);
    expect(Object.entries(object.metadata.annotations ?? {})).toEqual([
      ["__proto__", "a"],
      ["constructor", "b"],
    ]);
    expect(strictErrors).toEqual(['unknown field "__proto__"']);
    expect(Object.getPrototypeOf(object)).toBe(Object.prototype);
  });

  test("keeps raw JSON as it is", () => {
    const schema = {
      openAPIV3Schema: { type: "object", default: { a: [0, null, ""] }, additionalProperties: false },
    };
    const crd = { group: "apiextensions.k8s.io", version: "v1", kind: "CustomResourceDefinition" };
    const value = {
      spec: { group: "g", scope: "Namespaced", names: {}, versions: [{ name: "v1", schema }] },
    };
    expect(decodeObject(value, crd).object).toMatchObject({ spec: { versions: [{ schema }] } });
    expect(decodeObject(value, crd).strictErrors).toEqual([]);
  });

  test("accepts every stored kind with nothing in it", () => {
    for (const info of resources.filter(({ stored }) => stored)) {
      const { object, strictErrors } = decodeObject({}, info);
      expect(object).toMatchObject({ apiVersion: apiVersionOf(info), kind: info.kind });
      expect(strictErrors).toEqual([]);
    }
  });

  test("accepts DeleteOptions of any version", () => {
    const expected = { group: "", version: "v1", kind: "DeleteOptions" };
    const value = { apiVersion: "apps/v1", kind: "DeleteOptions", gracePeriodSeconds: 0 };
    expect(decodeObject(value, expected).object as unknown).toEqual(value);
  });

  test("names no more than a hundred unknown fields", () => {
    const many = Object.fromEntries(Array.from({ length: 500 }, (_, index) => [`x${index}`, 1]));
    expect(decodeObject(many, POD).strictErrors).toHaveLength(100);
  });

  test("is idempotent, whatever the JSON", () => {
    const names = string({ unit: "grapheme-ascii", maxLength: 5 });
    assert(
      property(dictionary(names, jsonValue()), jsonValue(), (spec, value) => {
        for (const given of [
          { spec },
          { metadata: spec },
          { spec: { containers: [spec] } },
          { status: value },
          value,
        ]) {
          let first: unknown;
          try {
            first = decodeObject(given, POD).object;
          } catch (error) {
            expect(error).toBeInstanceOf(StatusError);
            continue;
          }
          expect(decodeObject(first, POD)).toEqual({ object: first as never, strictErrors: [] });
        }
      }),
    );
  });
});

describe("decodeObject() refuses", () => {
  const PREFIX = 'Pod in version "v1" cannot be handled as a Pod: ';

  // The texts are those of sigs.k8s.io/json and the types' own UnmarshalJSON.
  test.each([
    [
      container({ ports: [{ containerPort: "80" }] }),
      "json: cannot unmarshal string into Go struct field ContainerPort.spec.containers.ports.containerPort of type int32",
    ],
    [
      container({ ports: [{ containerPort: 80.5 }] }),
      "json: cannot unmarshal number 80.5 into Go struct field ContainerPort.spec.containers.ports.containerPort of type int32",
    ],
    [
      container({ ports: [{ containerPort: 2 ** 31 }] }),
      "json: cannot unmarshal number 2147483648 into Go struct field ContainerPort.spec.containers.ports.containerPort of type int32",
    ],
    [
      container({ env: [{ name: "A", value: 1 }] }),
      "json: cannot unmarshal number into Go struct field EnvVar.spec.containers.env.value of type string",
    ],
    [
      container({ imagePullPolicy: true }),
      "json: cannot unmarshal bool into Go struct field Container.spec.containers.imagePullPolicy of type v1.PullPolicy",
    ],
    [
      { spec: { containers: {} } },
      "json: cannot unmarshal object into Go struct field PodSpec.spec.containers of type []v1.Container",
    ],
    [
      { spec: { containers: ["a"] } },
      "json: cannot unmarshal string into Go struct field PodSpec.spec.containers of type v1.Container",
    ],
    [{ spec: [] }, "json: cannot unmarshal array into Go struct field Pod.spec of type v1.PodSpec"],
    [
      { metadata: { labels: { a: 1 } } },
      "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of type string",
    ],
    [
      { metadata: { labels: "a" } },
      "json: cannot unmarshal string into Go struct field ObjectMeta.metadata.labels of type map[string]string",
    ],
    [
      { spec: { nodeSelector: { a: true } } },
      "json: cannot unmarshal bool into Go struct field PodSpec.spec.nodeSelector of type string",
    ],
    [
      container({ readinessProbe: { httpGet: { port: 1.5 } } }),
      "json: cannot unmarshal number 1.5 into Go struct field HTTPGetAction.spec.containers.readinessProbe.httpGet.port of type int32",
    ],
    [
      { metadata: { creationTimestamp: 5 } },
      "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.creationTimestamp of type string",
    ],
    [
      { metadata: { creationTimestamp: "today" } },
      'parsing time "today" as "2006-01-02T15:04:05Z07:00": cannot parse "today" as "2006"',
    ],
    [
      container({ resources: { limits: { cpu: "lots" } } }),
      "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
    ],
  ])("%j", (value, message) => {
    expect(messageOf(value)).toBe(PREFIX + message);
  });

  test("another kind", () => {
    expect(messageOf({ apiVersion: "v1", kind: "ConfigMap" })).toBe(
      'ConfigMap in version "v1" cannot be handled as a Pod: converting (v1.ConfigMap) to (core.Pod): unknown conversion',
    );
    expect(messageOf({ kind: "Foo" })).toBe(
      'Foo in version "v1" cannot be handled as a Pod: no kind "Foo" is registered for version "v1" in scheme "pkg/api/legacyscheme/scheme.go:30"',
    );
    expect(messageOf({ apiVersion: "apps/v1" })).toBe(
      'Pod in version "v1" cannot be handled as a Pod: no kind "Pod" is registered for version "apps/v1" in scheme "pkg/api/legacyscheme/scheme.go:30"',
    );
  });

  test.each([[[]], [7], ["text"], [true], [null]])("%j, which is no object", (value) => {
    expect(messageOf(value)).toStartWith(
      "the object provided is unrecognized (must be of type Pod): couldn't get version/kind; json parse error: ",
    );
  });

  test("an apiVersion that is no text", () => {
    expect(messageOf({ apiVersion: 1 })).toBe(
      "the object provided is unrecognized (must be of type Pod): couldn't get version/kind; json parse error: " +
        'json: cannot unmarshal number into Go struct field .apiVersion of type string ({"apiVersion":1})',
    );
  });

  test.each([
    ["YQ", "illegal base64 data at input byte 0"],
    ["YWJjYQ", "illegal base64 data at input byte 4"],
    ["YWJj*", "illegal base64 data at input byte 4"],
    ["=", "illegal base64 data at input byte 0"],
  ])("the base64 text %p", (text, message) => {
    expect(messageOf({ data: { key: text } }, SECRET)).toBe(
      `Secret in version "v1" cannot be handled as a Secret: ${message}`,
    );
  });

  test("no base64 text that is well-formed", () => {
    const data = { a: "", b: "YQ==", c: "YWI=", d: "YWJj\nYWJj\r\n" };
    expect(decodeObject({ data }, SECRET).object["data"]).toEqual({ ...data, d: "YWJjYWJj" });
  });
});

describe("enforceFieldValidation()", () => {
  const text = '{"spec":{"bogus":1,"nodeName":"a","nodeName":"b"}}';
  const { value, duplicates } = parseJsonText(text);
  const { strictErrors } = decodeObject(value, POD, duplicates);

  test("refuses when strict", () => {
    const refused = new StatusError(
      "BadRequest",
      'Pod in version "v1" cannot be handled as a Pod: strict decoding error: duplicate field "spec.nodeName", unknown field "spec.bogus"',
    );
    expect(() => enforceFieldValidation(strictErrors, "Strict", POD)).toThrow(refused);
    expect(enforceFieldValidation([], "Strict", POD)).toEqual([]);
  });

  test("warns or says nothing otherwise", () => {
    expect(enforceFieldValidation(strictErrors, "Warn", POD)).toEqual([
      'duplicate field "spec.nodeName"',
      'unknown field "spec.bogus"',
    ]);
    expect(enforceFieldValidation(strictErrors, "Ignore", POD)).toEqual([]);
  });
});

test.each([
  ["", "<empty>"],
  ['{"a"', '{"a"'],
  [`{"a":"${"x".repeat(40)}"}`, `{"a":"${"x".repeat(24)} ...`],
  ["abc", "616263"],
  ["x".repeat(31), `${"78".repeat(30)} ...`],
])("unrecognized() sums %p up as %p", (text, summary) => {
  expect(unrecognized(POD, "why", text).message).toBe(
    `the object provided is unrecognized (must be of type Pod): why (${summary})`,
  );
});
