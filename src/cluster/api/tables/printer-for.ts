/** The table printer of each resource. */
import { resourceOf } from "../../../k8s/catalogue.ts";
import type { GroupResource } from "../../../k8s/object.ts";
import { accessTables } from "./access-tables.ts";
import { autoscalerPrinter } from "./autoscaler-table.ts";
import { age, nameOf } from "./cell-text.ts";
import { clusterTables } from "./cluster-tables.ts";
import { configurationTables } from "./configuration-tables.ts";
import { metricsTables } from "./metrics-tables.ts";
import { networkTables } from "./network-tables.ts";
import { podPrinter } from "./pod-table.ts";
import { storageTables } from "./storage-tables.ts";
import { AGE, column, definePrinter, NAME, type TablePrinter } from "./table-printer.ts";
import { workloadTables } from "./workload-tables.ts";

const PRINTERS: ReadonlyMap<GroupResource, TablePrinter> = new Map([
  ["pods", podPrinter],
  ["horizontalpodautoscalers.autoscaling", autoscalerPrinter],
  ...Object.entries(clusterTables),
  ...Object.entries(workloadTables),
  ...Object.entries(configurationTables),
  ...Object.entries(networkTables),
  ...Object.entries(storageTables),
  ...Object.entries(accessTables),
  ...Object.entries(metricsTables),
]);

/** What the real server shows of built-in kinds without a table of their own, such as roles. */
const createdAtPrinter = definePrinter<object>(
  [NAME, column("Created At", { type: "date", description: "When the object was created" })],
  ({ metadata }) => [nameOf(metadata), metadata.creationTimestamp ?? "<unknown>"],
);

/** And of custom resources. */
const agePrinter = definePrinter<object>([NAME, AGE], ({ metadata }, now) => [
  nameOf(metadata),
  age(metadata, now),
]);

export function printerFor(resource: GroupResource): TablePrinter {
  return PRINTERS.get(resource) ?? (resourceOf(resource) === undefined ? agePrinter : createdAtPrinter);
}
