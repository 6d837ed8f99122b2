/** Tables of the workload kinds. Nothing acts on these yet; what is stored is shown as kubectl users know it. */
import type {
  CronJob,
  DaemonSet,
  Deployment,
  Job,
  LabelSelector,
  Lease,
  PodTemplateSpec,
  ReplicaSet,
  StatefulSet,
} from "../../../../generated/kubernetes.ts";
import { ageOf, humanDuration } from "../../../k8s/duration.ts";
import { age, columnsOf, formatLabels, printer } from "./table-printer.ts";

const WIDE = ["!Containers", "!Images", "!Selector"] as const;

function templateCells(template: PodTemplateSpec | undefined, selector: LabelSelector | undefined): string[] {
  const containers = template?.spec?.containers ?? [];
  return [
    containers.map(({ name }) => name).join(","),
    containers.map(({ image }) => image ?? "").join(","),
    formatSelector(selector),
  ];
}

/** `metav1.FormatLabelSelector`. */
function formatSelector(selector: LabelSelector | undefined): string {
  const labels = formatLabels(selector?.matchLabels);
  const expressions = (selector?.matchExpressions ?? []).map(({ key, operator, values = [] }) => {
    if (operator === "Exists") return key;
    if (operator === "DoesNotExist") return `!${key}`;
    return `${key} ${operator.toLowerCase()} (${values.join(",")})`;
  });
  return [...(labels === "<none>" ? [] : [labels]), ...expressions].join(",") || "<none>";
}

export const deploymentPrinter = printer<Deployment>(
  columnsOf("Name", "Ready", "Up-to-date", "Available", "Age", ...WIDE),
  (object, now) => [
    object.metadata?.name,
    `${object.status?.readyReplicas ?? 0}/${object.spec?.replicas ?? 0}`,
    object.status?.updatedReplicas ?? 0,
    object.status?.availableReplicas ?? 0,
    age(object, now),
    ...templateCells(object.spec?.template, object.spec?.selector),
  ],
);

export const replicaSetPrinter = printer<ReplicaSet>(
  columnsOf("Name", "Desired", "Current", "Ready", "Age", ...WIDE),
  (object, now) => [
    object.metadata?.name,
    object.spec?.replicas ?? 0,
    object.status?.replicas ?? 0,
    object.status?.readyReplicas ?? 0,
    age(object, now),
    ...templateCells(object.spec?.template, object.spec?.selector),
  ],
);

export const statefulSetPrinter = printer<StatefulSet>(
  columnsOf("Name", "Ready", "Age", "!Containers", "!Images"),
  (object, now) => [
    object.metadata?.name,
    `${object.status?.readyReplicas ?? 0}/${object.spec?.replicas ?? 0}`,
    age(object, now),
    ...templateCells(object.spec?.template, undefined).slice(0, 2),
  ],
);

export const daemonSetPrinter = printer<DaemonSet>(
  columnsOf(
    "Name",
    "Desired",
    "Current",
    "Ready",
    "Up-to-date",
    "Available",
    "Node Selector",
    "Age",
    ...WIDE,
  ),
  (object, now) => [
    object.metadata?.name,
    object.status?.desiredNumberScheduled ?? 0,
    object.status?.currentNumberScheduled ?? 0,
    object.status?.numberReady ?? 0,
    object.status?.updatedNumberScheduled ?? 0,
    object.status?.numberAvailable ?? 0,
    formatLabels(object.spec?.template.spec?.nodeSelector),
    age(object, now),
    ...templateCells(object.spec?.template, object.spec?.selector),
  ],
);

export const jobPrinter = printer<Job>(
  columnsOf("Name", "Status", "Completions", "Duration", "Age", ...WIDE),
  (job, now) => [
    job.metadata?.name,
    jobStatus(job),
    completions(job),
    duration(job, now),
    age(job, now),
    ...templateCells(job.spec?.template, job.spec?.selector),
  ],
);

function jobStatus({ status, metadata }: Job): string {
  const isTrue = (wanted: string) =>
    status?.conditions?.some(({ type, status: value }) => type === wanted && value === "True");
  for (const [type, text] of [
    ["Complete", "Complete"],
    ["Failed", "Failed"],
    ["Suspended", "Suspended"],
    ["FailureTarget", "FailureTarget"],
    ["SuccessCriteriaMet", "SuccessCriteriaMet"],
  ] as const) {
    if (type === "Suspended" && metadata?.deletionTimestamp) return "Terminating";
    if (isTrue(type)) return text;
  }
  return "Running";
}

function completions({ spec, status }: Job): string {
  const succeeded = status?.succeeded ?? 0;
  if (spec?.completions !== undefined) return `${succeeded}/${spec.completions}`;
  const parallelism = spec?.parallelism ?? 0;
  return parallelism > 1 ? `${succeeded}/1 of ${parallelism}` : `${succeeded}/1`;
}

function duration({ status }: Job, now: number): string {
  if (status?.startTime === undefined) return "";
  const end = status.completionTime === undefined ? now : Date.parse(status.completionTime);
  return humanDuration(end - Date.parse(status.startTime));
}

export const cronJobPrinter = printer<CronJob>(
  columnsOf("Name", "Schedule", "Timezone", "Suspend", "Active", "Last Schedule", "Age", ...WIDE),
  (object, now) => [
    object.metadata?.name,
    object.spec?.schedule ?? "",
    object.spec?.timeZone ?? "<none>",
    object.spec?.suspend ? "True" : "False",
    object.status?.active?.length ?? 0,
    object.status?.lastScheduleTime === undefined ? "<none>" : ageOf(object.status.lastScheduleTime, now),
    age(object, now),
    ...templateCells(object.spec?.jobTemplate.spec?.template, undefined),
  ],
);

export const leasePrinter = printer<Lease>(columnsOf("Name", "Holder", "Age"), (object, now) => [
  object.metadata?.name,
  object.spec?.holderIdentity ?? "",
  age(object, now),
]);
