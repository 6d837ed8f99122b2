/** Tables of what pods are given: configuration, identities, limits. */
import type { ConfigMap, Secret, ServiceAccount } from "../../../../generated/kubernetes.ts";
import { age, nameOf } from "./cell-text.ts";
import { AGE, column, definePrinter, NAME, type TablePrinter } from "./table-printer.ts";

function sizeOf(map: object | undefined): number {
  return Object.keys(map ?? {}).length;
}

const configMapPrinter = definePrinter<ConfigMap>(
  [NAME, column("Data", { description: "How many keys there are" }), AGE],
  ({ metadata, data, binaryData }, now) => [
    nameOf(metadata),
    sizeOf(data) + sizeOf(binaryData),
    age(metadata, now),
  ],
);

const secretPrinter = definePrinter<Secret>(
  [NAME, column("Type"), column("Data", { description: "How many keys there are" }), AGE],
  ({ metadata, type, data }, now) => [nameOf(metadata), type ?? "", sizeOf(data), age(metadata, now)],
);

const serviceAccountPrinter = definePrinter<ServiceAccount>(
  [NAME, column("Secrets", { description: "How many secrets it may use" }), AGE],
  ({ metadata, secrets }, now) => [nameOf(metadata), secrets?.length ?? 0, age(metadata, now)],
);

type Amounts = Readonly<Record<string, string>>;

interface ResourceQuota {
  readonly status?: { readonly hard?: Amounts; readonly used?: Amounts };
}

const resourceQuotaPrinter = definePrinter<ResourceQuota>(
  [NAME, AGE, column("Request"), column("Limit")],
  ({ metadata, status = {} }, now) => {
    const { hard = {}, used = {} } = status;
    const lines = Object.keys(hard)
      .sort()
      .map((name) => `${name}: ${used[name] ?? "0"}/${hard[name] ?? "0"}`);
    const join = (wanted: boolean) =>
      lines.filter((line) => line.startsWith("limits.") === wanted).join(", ");
    return [nameOf(metadata), age(metadata, now), join(false), join(true)];
  },
);

interface PriorityClass {
  readonly value?: number;
  readonly globalDefault?: boolean;
  readonly preemptionPolicy?: string;
}

const priorityClassPrinter = definePrinter<PriorityClass>(
  [
    NAME,
    column("Value", { type: "integer" }),
    column("Global-Default", { type: "boolean" }),
    AGE,
    column("PreemptionPolicy"),
  ],
  ({ metadata, value, globalDefault, preemptionPolicy }, now) => [
    nameOf(metadata),
    value ?? 0,
    globalDefault ?? false,
    age(metadata, now),
    preemptionPolicy ?? "",
  ],
);

const runtimeClassPrinter = definePrinter<{ readonly handler?: string }>(
  [NAME, column("Handler"), AGE],
  ({ metadata, handler }, now) => [nameOf(metadata), handler ?? "", age(metadata, now)],
);

interface ComponentStatus {
  readonly conditions?: readonly { type: string; status: string; message?: string; error?: string }[];
}

const componentStatusPrinter = definePrinter<ComponentStatus>(
  [NAME, column("Status"), column("Message"), column("Error")],
  ({ metadata, conditions }) => {
    const health = conditions?.find(({ type }) => type === "Healthy");
    const status = health === undefined ? "Unknown" : health.status === "True" ? "Healthy" : "Unhealthy";
    return [nameOf(metadata), status, health?.message ?? "", health?.error ?? ""];
  },
);

interface PodDisruptionBudget {
  readonly spec?: { minAvailable?: number | string; maxUnavailable?: number | string };
  readonly status?: { disruptionsAllowed?: number };
}

const podDisruptionBudgetPrinter = definePrinter<PodDisruptionBudget>(
  [
    NAME,
    column("Min Available"),
    column("Max Unavailable"),
    column("Allowed Disruptions", { type: "integer" }),
    AGE,
  ],
  ({ metadata, spec = {}, status }, now) => [
    nameOf(metadata),
    String(spec.minAvailable ?? "N/A"),
    String(spec.maxUnavailable ?? "N/A"),
    status?.disruptionsAllowed ?? 0,
    age(metadata, now),
  ],
);

export const configurationTables: Readonly<Record<string, TablePrinter>> = {
  configmaps: configMapPrinter,
  secrets: secretPrinter,
  serviceaccounts: serviceAccountPrinter,
  resourcequotas: resourceQuotaPrinter,
  "priorityclasses.scheduling.k8s.io": priorityClassPrinter,
  "runtimeclasses.node.k8s.io": runtimeClassPrinter,
  componentstatuses: componentStatusPrinter,
  "poddisruptionbudgets.policy": podDisruptionBudgetPrinter,
};
