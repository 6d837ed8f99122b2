/**
 * Writes `generated/kubernetes.ts`: TypeScript interfaces of the Kubernetes objects that Pillion acts on.
 * Source: the models of `@kubernetes/client-node` (names and types only; descriptions stay in the package).
 */
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOTS = [
  "V1Pod",
  "V1Node",
  "V1Namespace",
  "V1ConfigMap",
  "V1Secret",
  "V1Service",
  "V1ServiceAccount",
  "V1PersistentVolumeClaim",
  "CoreV1Event",
  "V1Lease",
  "V1Deployment",
  "V1ReplicaSet",
  "V1StatefulSet",
  "V1DaemonSet",
  "V1Job",
  "V1CronJob",
  "V1EndpointSlice",
  "V1ReplicationController",
  "V1ControllerRevision",
  "V1PodDisruptionBudget",
  "V2HorizontalPodAutoscaler",
  "V1Ingress",
  "V1IngressClass",
  "V1NetworkPolicy",
  "V1PriorityClass",
  "V1ResourceQuota",
  "V1LimitRange",
  "V1Status",
  "V1DeleteOptions",
  "V1Eviction",
  "V1Binding",
  "V1SelfSubjectAccessReview",
  "V1SelfSubjectRulesReview",
  "V1SelfSubjectReview",
];

const models = join(dirname(fileURLToPath(import.meta.resolve("@kubernetes/client-node"))), "gen/models");

interface Field {
  readonly name: string;
  readonly optional: boolean;
  readonly type: string;
}

function readModel(model: string): Field[] {
  const text = readFileSync(join(models, `${model}.d.ts`), "utf8").replaceAll(/\/\*\*[\s\S]*?\*\//g, "");
  const body = text.slice(
    text.indexOf("export declare class"),
    text.indexOf("static readonly discriminator"),
  );
  return [...body.matchAll(/'([^']+)'(\??): (\{[^}]*\}|[^;]*);/g)].map(([, name, mark, type]) => ({
    name: name?.replace(/^_/, "") ?? "",
    optional: mark === "?",
    type: type ?? "unknown",
  }));
}

/** `V1PodSpec` -> `PodSpec`, `CoreV1Event` -> `Event`, `V1Status` -> `Status`. */
function shortName(model: string): string {
  return model.replace(/^(Core|Events|Discovery|Storage|Batch|Authentication)?V\d+((?:alpha|beta)\d+)?/, "");
}

function typeText(type: string, reach: (model: string) => void): string {
  return type
    .replaceAll(/\bDate\b/g, "string")
    .replaceAll(/\bV1MicroTime\b/g, "string")
    .replaceAll(/\bIntOrString\b/g, "number | string")
    .replaceAll(/\bany\b/g, "unknown")
    .replaceAll(/Array<([^<>]+)>/g, (_, inner: string) =>
      inner.includes("|") ? `(${inner})[]` : `${inner}[]`,
    )
    .replaceAll(/\b(?:Core|Events|Discovery|Storage|Batch)?V\d+\w*/g, (model) => {
      reach(model);
      return shortName(model);
    })
    .replaceAll(/\s+/g, " ");
}

function generate(): string {
  const queue = [...ROOTS];
  const seen = new Set(queue);
  const out = new Map<string, string>();
  for (let model = queue.shift(); model !== undefined; model = queue.shift()) {
    const reach = (next: string) => {
      if (!seen.has(next)) queue.push(next);
      seen.add(next);
    };
    const fields = readModel(model).map(({ name, optional, type }) => {
      const key = /^\w+$/.test(name) ? name : JSON.stringify(name);
      return `  ${key}${optional ? "?" : ""}: ${typeText(type, reach)};`;
    });
    const name = shortName(model);
    if (out.has(name)) throw new Error(`Two models are called "${name}"`);
    out.set(name, `export interface ${name} {\n${fields.join("\n")}\n}\n`);
  }
  const sorted = [...out].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, text]) => text);
  return `// Written by tools/gen-kubernetes-types.ts. Do not edit.\n\n${sorted.join("\n")}`;
}

writeFileSync(join(import.meta.dirname, "../generated/kubernetes.ts"), generate());
