/** The table of HorizontalPodAutoscalers, whose TARGETS column needs more words than the rest together. */
import { age, nameOf } from "./cell-text.ts";
import { AGE, column, definePrinter, NAME } from "./table-printer.ts";

interface MetricValue {
  readonly averageValue?: string;
  readonly value?: string;
  readonly averageUtilization?: number;
}

/** One member is set, named like the type with a small first letter. */
interface Metric {
  readonly type: string;
  readonly [source: string]:
    | string
    | { readonly name?: string; readonly target?: MetricValue; readonly current?: MetricValue }
    | undefined;
}

interface Autoscaler {
  readonly spec?: {
    readonly scaleTargetRef?: { readonly kind: string; readonly name: string };
    readonly metrics?: readonly Metric[];
    readonly minReplicas?: number;
    readonly maxReplicas?: number;
  };
  readonly status?: { readonly currentReplicas?: number; readonly currentMetrics?: readonly Metric[] };
}

const SHOWN = 2;

export const autoscalerPrinter = definePrinter<Autoscaler>(
  [
    NAME,
    column("Reference"),
    column("Targets"),
    column("MinPods"),
    column("MaxPods"),
    column("Replicas"),
    AGE,
  ],
  ({ metadata, spec = {}, status = {} }, now) => [
    nameOf(metadata),
    `${spec.scaleTargetRef?.kind ?? ""}/${spec.scaleTargetRef?.name ?? ""}`,
    targets(spec.metrics ?? [], status.currentMetrics ?? []),
    String(spec.minReplicas ?? "<unset>"),
    spec.maxReplicas ?? 0,
    status.currentReplicas ?? 0,
    age(metadata, now),
  ],
);

function targets(metrics: readonly Metric[], current: readonly Metric[]): string {
  if (metrics.length === 0) return "<none>";
  const shown = metrics
    .slice(0, SHOWN)
    .map((metric, index) => target(metric, current[index]))
    .join(", ");
  return metrics.length > SHOWN ? `${shown} + ${metrics.length - SHOWN} more...` : shown;
}

function sourceOf(metric: Metric | undefined, type: string) {
  const source = metric?.[type.charAt(0).toLowerCase() + type.slice(1)];
  return typeof source === "object" ? source : undefined;
}

function target(metric: Metric, status: Metric | undefined): string {
  const { type } = metric;
  const { target: wanted, name = "" } = sourceOf(metric, type) ?? {};
  const now = sourceOf(status, type)?.current;
  if (wanted === undefined) return "<unknown type>";
  if (type === "Resource" || type === "ContainerResource") return `${name}: ${resourceTarget(wanted, now)}`;
  if (wanted.averageValue === undefined) return `${now?.value ?? "<unknown>"}/${wanted.value ?? ""}`;
  return `${now?.averageValue ?? "<unknown>"}/${wanted.averageValue}${type === "Pods" ? "" : " (avg)"}`;
}

function resourceTarget(wanted: MetricValue, now: MetricValue | undefined): string {
  if (wanted.averageValue !== undefined) return `${now?.averageValue ?? "<unknown>"}/${wanted.averageValue}`;
  const percent = (value: number | undefined, none: string) => (value === undefined ? none : `${value}%`);
  return `${percent(now?.averageUtilization, "<unknown>")}/${percent(wanted.averageUtilization, "<auto>")}`;
}
