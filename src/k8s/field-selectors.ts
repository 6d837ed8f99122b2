/** Field selectors (`status.phase!=Running`): which fields each resource offers, and the test (apimachinery `fields`). */
import { goQuote } from "./go-format.ts";
import { SelectorError } from "./label-requirement.ts";
import type { GroupResource, KubeObject } from "./object.ts";

export interface FieldRequirement {
  readonly field: string;
  readonly operator: "=" | "!=";
  readonly value: string;
}

export interface FieldSelector {
  readonly requirements: readonly FieldRequirement[];
  readonly matches: (object: KubeObject) => boolean;
  /** The value that the selector demands of the field, if it does: a shortcut for lookups by name. */
  readonly exact: (field: string) => string | undefined;
}

type Getter = (object: KubeObject) => string;

const METADATA_FIELDS: readonly string[] = ["metadata.name", "metadata.namespace"];

const EVENT_FIELDS: readonly string[] = [
  "kind",
  "namespace",
  "name",
  "uid",
  "apiVersion",
  "resourceVersion",
  "fieldPath",
];

/** Fields beside metadata.name and metadata.namespace; only listed resources word the refusal in this way. */
const FIELDS: Readonly<Record<GroupResource, readonly string[]>> = {
  pods: [
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.schedulerName",
    "spec.serviceAccountName",
    "spec.hostNetwork",
    "status.phase",
    "status.podIP",
    "status.podIPs",
    "status.nominatedNodeName",
  ],
  nodes: ["spec.unschedulable"],
  replicationcontrollers: ["status.replicas"],
  events: [
    ...EVENT_FIELDS.map((field) => `involvedObject.${field}`),
    "reason",
    "reportingComponent",
    "source",
    "type",
  ],
  "events.events.k8s.io": [
    ...EVENT_FIELDS.map((field) => `regarding.${field}`),
    "reason",
    "reportingController",
    "type",
  ],
  namespaces: ["status.phase"],
  secrets: ["type"],
  services: ["spec.clusterIP", "spec.type"],
  "jobs.batch": ["status.successful"],
  "certificatesigningrequests.certificates.k8s.io": ["spec.signerName"],
};

function fieldAt(object: unknown, path: readonly string[]): unknown {
  let value = object;
  for (const key of path) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, key)) return undefined;
    value = (value as Record<string, unknown>)[key];
  }
  return value;
}

function textAt(object: unknown, ...paths: readonly string[]): string {
  for (const path of paths) {
    const value = fieldAt(object, path.split("."));
    if (typeof value === "string" && value !== "") return value;
    if (typeof value === "number" || typeof value === "boolean") return String(value);
  }
  return "";
}

const SPECIAL: Readonly<Record<string, Getter>> = {
  "spec.hostNetwork": (object) => textAt(object, "spec.hostNetwork") || "false",
  "spec.unschedulable": (object) => textAt(object, "spec.unschedulable") || "false",
  "status.replicas": (object) => textAt(object, "status.replicas") || "0",
  "status.successful": (object) => textAt(object, "status.succeeded") || "0",
  source: (object) =>
    textAt(
      object,
      "source.component",
      "deprecatedSource.component",
      "reportingComponent",
      "reportingController",
    ),
  reportingComponent: (object) => textAt(object, "reportingComponent", "reportingController"),
  reportingController: (object) => textAt(object, "reportingController", "reportingComponent"),
};

function getterFor(field: string): Getter {
  const special = Object.hasOwn(SPECIAL, field) ? SPECIAL[field] : undefined;
  if (special !== undefined) return special;
  const [head = "", ...rest] = field.split(".");
  if (head === "involvedObject" || head === "regarding") {
    const tail = rest.join(".");
    return (object) => textAt(object, `involvedObject.${tail}`, `regarding.${tail}`);
  }
  return (object) => textAt(object, field);
}

/** `spec.host` is what v1 clients before 1.0 sent; Kubernetes still takes it. */
function supportedField(resource: GroupResource, field: string, custom?: readonly string[]): string {
  if (resource === "pods" && field === "spec.host") return "spec.nodeName";
  const own = custom ?? (Object.hasOwn(FIELDS, resource) ? FIELDS[resource] : undefined);
  if (METADATA_FIELDS.includes(field) || own?.includes(field) === true) return field;
  if (own !== undefined) throw new SelectorError(`field label not supported: ${field}`);
  const known = METADATA_FIELDS.map(goQuote).join(", ");
  throw new SelectorError(`${goQuote(field)} is not a known field selector: only ${known}`);
}

/** Splits at commas that no backslash protects. */
function splitTerms(text: string): string[] {
  return (text.match(/(?:\\[\s\S]|[^,\\]|\\$)+/g) ?? []).sort();
}

function unescapeValue(value: string): string {
  if (/^(?:\\[\\,=]|[^\\,=])*$/.test(value)) return value.replaceAll(/\\([\s\S])/g, "$1");
  const bad = /\\(?![\\,=])[\s\S]?/.exec(value)?.[0];
  if (bad !== undefined) throw new SelectorError(`invalid field selector: invalid escape sequence: ${bad}`);
  const loose = /(?<!\\)[,=]/.exec(value)?.[0] ?? "";
  throw new SelectorError(`invalid field selector: unescaped character in value: ${loose.charCodeAt(0)}`);
}

function parseTerm(term: string, selector: string): FieldRequirement {
  const match = /^([\s\S]*?)(!=|==|=)([\s\S]*)$/.exec(term);
  if (match === null) throw new SelectorError(`invalid selector: '${selector}'; can't understand '${term}'`);
  const [, field = "", operator, value = ""] = match;
  return { field, operator: operator === "!=" ? "!=" : "=", value: unescapeValue(value) };
}

/**
 * `fields.ParseSelector` plus the resource's field conversion; `custom` are the fields that a definition offers. Throws `SelectorError` in the words of the real
 * server.
 */
export function parseFieldSelector(
  text: string,
  resource: GroupResource,
  custom?: readonly string[],
): FieldSelector {
  const requirements = splitTerms(text)
    .map((term) => parseTerm(term, text))
    .map((requirement) => ({ ...requirement, field: supportedField(resource, requirement.field, custom) }));
  const tests = requirements.map(({ field, operator, value }) => {
    const get = getterFor(field);
    return (object: KubeObject) => (get(object) === value) === (operator === "=");
  });
  return {
    requirements,
    matches: (object) => tests.every((test) => test(object)),
    exact: (field) => requirements.find((one) => one.field === field && one.operator === "=")?.value,
  };
}
