/** What a written object makes the API say besides its answer, as `Warning:` headers (each strategy's `WarningsOnCreate`, `WarningsOnUpdate`). */
import type { Ingress, PodTemplateSpec, Service } from "../../generated/kubernetes.ts";
import { checkDns1123Label } from "./names.ts";
import type { GroupResource, KubeObject } from "./object.ts";
import { jsonEqual } from "./patch/json.ts";
import { podSpecWarnings } from "./pod-warnings.ts";
import { serviceWarnings } from "./service-warnings.ts";
import type { Unchecked } from "./validation/unchecked.ts";

const SURPRISING = "which can result in surprising behavior; a DNS label is recommended";
const IN_PODS = `metadata.name: this is used in Pod names and hostnames, ${SURPRISING}`;
const IN_POD = `metadata.name: this is used in the Pod's hostname, ${SURPRISING}`;
const INGRESS_CLASS = "kubernetes.io/ingress.class";

type Warn = (object: KubeObject, before: KubeObject | undefined) => string[];

type Template = Unchecked<PodTemplateSpec>;

/** A kind that makes pods; `templateOf` is given its specification. */
function ofTemplate(path: string, templateOf: (spec: Record<string, unknown>) => unknown): Warn {
  return (object, before) => {
    if (before !== undefined && jsonEqual(object["spec"], before["spec"])) return [];
    const spec = (object["spec"] ?? {}) as Record<string, unknown>;
    const template = (templateOf(spec) ?? {}) as Template;
    const named = before === undefined ? nameWarnings(object, IN_PODS) : [];
    return [...named, ...podSpecWarnings(template.spec ?? {}, `${path}.spec`)];
  };
}

function nameWarnings({ metadata: { name = "" } }: KubeObject, why: string): string[] {
  const wrong = name === "" ? [] : checkDns1123Label(name);
  // As Go prints a list.
  return wrong.length === 0 ? [] : [`${why}: [${wrong.join(" ")}]`];
}

const workload = ofTemplate("spec.template", ({ template }) => template);

/** Pods are not looked at again: those who change them are programs. */
const WARNINGS: ReadonlyMap<GroupResource, Warn> = new Map<GroupResource, Warn>([
  [
    "pods",
    (pod, before) =>
      before === undefined
        ? [...nameWarnings(pod, IN_POD), ...podSpecWarnings(pod["spec"] ?? {}, "spec")]
        : [],
  ],
  ["services", (object) => serviceWarnings((object as Unchecked<Service>).spec ?? {})],
  ["deployments.apps", workload],
  ["replicasets.apps", workload],
  ["statefulsets.apps", workload],
  ["daemonsets.apps", workload],
  ["replicationcontrollers", workload],
  ["jobs.batch", workload],
  [
    "cronjobs.batch",
    ofTemplate("spec.jobTemplate.spec.template", ({ jobTemplate }) => {
      return (jobTemplate as { spec?: { template?: unknown } } | undefined)?.spec?.template;
    }),
  ],
  [
    "ingresses.networking.k8s.io",
    (object, before) => {
      const isOld = (object as Unchecked<Ingress>).metadata?.annotations?.[INGRESS_CLASS] !== undefined;
      if (before !== undefined || !isOld) return [];
      return [`annotation "${INGRESS_CLASS}" is deprecated, please use 'spec.ingressClassName' instead`];
    },
  ],
]);

/** `before` is undefined for what is new. */
export function writeWarnings(
  resource: GroupResource,
  object: KubeObject,
  before: KubeObject | undefined,
): string[] {
  return WARNINGS.get(resource)?.(object, before) ?? [];
}
