/** Tables of what nodes and pods use, as metrics-server prints them. */
import { nameOf } from "./cell-text.ts";
import { column, definePrinter, NAME, type TablePrinter } from "./table-printer.ts";
import type { ObjectMeta } from "../../../k8s/object.ts";
import { addQuantities, formatQuantity, type Quantity, quantityOf } from "../../../k8s/quantity.ts";

interface Usage {
  readonly cpu: string;
  readonly memory: string;
}

interface Metrics {
  readonly metadata: ObjectMeta;
  readonly window?: string;
  readonly usage?: Usage;
  readonly containers?: readonly { readonly usage: Usage }[];
}

const printer = definePrinter<Metrics>(
  [NAME, column("cpu"), column("memory"), column("Window")],
  ({ metadata, window = "", usage, containers = [] }) => {
    const all = usage === undefined ? containers.map((one) => one.usage) : [usage];
    const sum = (name: keyof Usage) => total(all.map((one) => quantityOf(one[name])));
    return [nameOf(metadata), sum("cpu"), sum("memory"), window];
  },
);

function total([first, ...rest]: readonly Quantity[]): string {
  return first === undefined ? "0" : formatQuantity(rest.reduce(addQuantities, first));
}

export const metricsTables: Readonly<Record<string, TablePrinter>> = {
  "nodes.metrics.k8s.io": printer,
  "pods.metrics.k8s.io": printer,
};
