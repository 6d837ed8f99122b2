/** Tables of everything that makes pods. */
import type {
  CronJob,
  DaemonSet,
  Deployment,
  Job,
  JobStatus,
  OwnerReference,
  PodTemplateSpec,
  ReplicaSet,
  StatefulSet,
} from "../../../../generated/kubernetes.ts";
import { ageOf, humanDuration } from "../../../k8s/duration.ts";
import type { ObjectMeta } from "../../../k8s/object.ts";
import {
  age,
  CONTAINERS,
  containerCells,
  formatLabels,
  formatSelector,
  IMAGES,
  nameOf,
  SELECTOR,
  selectorText,
} from "./cell-text.ts";
import { AGE, column, definePrinter, NAME, type TablePrinter } from "./table-printer.ts";

const READY = column("Ready", { description: "Pods that are ready, of those wanted" });

function count(name: string) {
  return column(name, { type: "integer" });
}

const deploymentPrinter = definePrinter<Deployment>(
  [NAME, READY, column("Up-to-date"), column("Available"), AGE, CONTAINERS, IMAGES, SELECTOR],
  ({ metadata, spec, status = {} }, now) => [
    nameOf(metadata),
    `${status.readyReplicas ?? 0}/${spec?.replicas ?? 0}`,
    status.updatedReplicas ?? 0,
    status.availableReplicas ?? 0,
    age(metadata, now),
    ...containerCells(spec?.template),
    selectorText(spec?.selector),
  ],
);

const statefulSetPrinter = definePrinter<StatefulSet>(
  [NAME, READY, AGE, CONTAINERS, IMAGES],
  ({ metadata, spec, status }, now) => [
    nameOf(metadata),
    `${status?.readyReplicas ?? 0}/${spec?.replicas ?? 0}`,
    age(metadata, now),
    ...containerCells(spec?.template),
  ],
);

interface Scale {
  readonly spec?: { readonly replicas?: number };
  readonly status?: { readonly replicas?: number };
}

/** No resource of its own: what the `scale` of every other is shown as. */
export const SCALES = "scales.autoscaling";

const scalePrinter = definePrinter<Scale>(
  [NAME, count("Desired"), count("Available"), AGE],
  ({ metadata, spec, status }, now) => [
    nameOf(metadata),
    spec?.replicas ?? 0,
    status?.replicas ?? 0,
    age(metadata, now),
  ],
);

const REPLICAS = [
  NAME,
  count("Desired"),
  count("Current"),
  count("Ready"),
  AGE,
  CONTAINERS,
  IMAGES,
  SELECTOR,
];

const replicaSetPrinter = definePrinter<ReplicaSet>(REPLICAS, ({ metadata, spec, status }, now) => [
  nameOf(metadata),
  spec?.replicas ?? 0,
  status?.replicas ?? 0,
  status?.readyReplicas ?? 0,
  age(metadata, now),
  ...containerCells(spec?.template),
  formatSelector(spec?.selector),
]);

interface ReplicationController {
  readonly spec?: { replicas?: number; selector?: Record<string, string>; template?: PodTemplateSpec };
  readonly status?: { replicas?: number; readyReplicas?: number };
}

const replicationControllerPrinter = definePrinter<ReplicationController>(
  REPLICAS,
  ({ metadata, spec = {}, status = {} }, now) => [
    nameOf(metadata),
    spec.replicas ?? 0,
    status.replicas ?? 0,
    status.readyReplicas ?? 0,
    age(metadata, now),
    ...containerCells(spec.template),
    formatLabels(spec.selector),
  ],
);

const daemonSetPrinter = definePrinter<DaemonSet>(
  [
    NAME,
    count("Desired"),
    count("Current"),
    count("Ready"),
    count("Up-to-date"),
    count("Available"),
    column("Node Selector"),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
  ],
  ({ metadata, spec, status }, now) => [
    nameOf(metadata),
    status?.desiredNumberScheduled ?? 0,
    status?.currentNumberScheduled ?? 0,
    status?.numberReady ?? 0,
    status?.updatedNumberScheduled ?? 0,
    status?.numberAvailable ?? 0,
    formatLabels(spec?.template?.spec?.nodeSelector),
    age(metadata, now),
    ...containerCells(spec?.template),
    formatSelector(spec?.selector),
  ],
);

const jobPrinter = definePrinter<Job>(
  [
    NAME,
    column("Status"),
    column("Completions"),
    column("Duration", { description: "Time that the job took or has taken so far" }),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
  ],
  (job, now) => [
    nameOf(job.metadata),
    jobStatus(job),
    completions(job),
    jobDuration(job.status ?? {}, now),
    age(job.metadata, now),
    ...containerCells(job.spec?.template),
    formatSelector(job.spec?.selector),
  ],
);

/** Conditions in the order in which they count; a job that is being deleted counts after the final ones. */
function jobStatus({ metadata, status }: Job): string {
  const holds = (type: string) =>
    status?.conditions?.some((one) => one.type === type && one.status === "True") ?? false;
  if (holds("Complete")) return "Complete";
  if (holds("Failed")) return "Failed";
  if (metadata?.deletionTimestamp !== undefined) return "Terminating";
  return ["Suspended", "FailureTarget", "SuccessCriteriaMet"].find(holds) ?? "Running";
}

function completions({ spec, status }: Job): string {
  const succeeded = status?.succeeded ?? 0;
  if (spec?.completions !== undefined) return `${succeeded}/${spec.completions}`;
  const parallelism = spec?.parallelism ?? 0;
  return parallelism > 1 ? `${succeeded}/1 of ${parallelism}` : `${succeeded}/1`;
}

function jobDuration({ startTime, completionTime }: JobStatus, now: number): string {
  if (startTime === undefined) return "";
  return completionTime === undefined
    ? ageOf(startTime, now)
    : humanDuration(Date.parse(completionTime) - Date.parse(startTime));
}

const cronJobPrinter = definePrinter<CronJob>(
  [
    NAME,
    column("Schedule"),
    column("Timezone"),
    column("Suspend", { type: "boolean" }),
    count("Active"),
    column("Last Schedule"),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
  ],
  ({ metadata, spec, status }, now) => [
    nameOf(metadata),
    spec?.schedule ?? "",
    spec?.timeZone ?? "<none>",
    goBoolean(spec?.suspend),
    status?.active?.length ?? 0,
    status?.lastScheduleTime === undefined ? "<none>" : ageOf(status.lastScheduleTime, now),
    age(metadata, now),
    ...containerCells(spec?.jobTemplate?.spec?.template),
    formatSelector(spec?.jobTemplate?.spec?.selector),
  ],
);

/** `printBoolPtr`. */
function goBoolean(value: boolean | undefined): string {
  if (value === undefined) return "<unset>";
  return value ? "True" : "False";
}

const podTemplatePrinter = definePrinter<{ readonly template?: PodTemplateSpec }>(
  [NAME, column("Containers"), column("Images"), column("Pod Labels")],
  ({ metadata, template }) => [
    nameOf(metadata),
    ...containerCells(template),
    formatLabels(template?.metadata?.labels),
  ],
);

const controllerRevisionPrinter = definePrinter<{ readonly revision?: number }>(
  [NAME, column("Controller"), column("Revision"), AGE],
  ({ metadata, revision }, now) => [
    nameOf(metadata),
    controllerOf(metadata),
    revision ?? 0,
    age(metadata, now),
  ],
);

function controllerOf({ ownerReferences }: ObjectMeta): string {
  const owner = ownerReferences?.find(({ controller }: OwnerReference) => controller === true);
  if (owner === undefined) return "<none>";
  const slash = owner.apiVersion.indexOf("/");
  const group = slash < 0 ? "" : `.${owner.apiVersion.slice(0, slash)}`;
  return `${owner.kind.toLowerCase()}${group}/${owner.name}`;
}

export const workloadTables: Readonly<Record<string, TablePrinter>> = {
  "deployments.apps": deploymentPrinter,
  "statefulsets.apps": statefulSetPrinter,
  "replicasets.apps": replicaSetPrinter,
  replicationcontrollers: replicationControllerPrinter,
  "daemonsets.apps": daemonSetPrinter,
  "jobs.batch": jobPrinter,
  "cronjobs.batch": cronJobPrinter,
  podtemplates: podTemplatePrinter,
  [SCALES]: scalePrinter,
  "controllerrevisions.apps": controllerRevisionPrinter,
};
