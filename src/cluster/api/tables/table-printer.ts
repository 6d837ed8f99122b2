/** The contract of a kind's table: columns once, cells per object (`meta.k8s.io/v1` Table). */
import { ageOf } from "../../../k8s/duration.ts";
import type { KubeObject } from "../../../k8s/object.ts";

/** `metav1.TableColumnDefinition`; priority 0 is always shown, 1 with `-o wide`. */
export interface TableColumn {
  readonly name: string;
  readonly type: "string" | "integer";
  readonly format: string;
  readonly description: string;
  readonly priority: number;
}

export type Cell = string | number;

export interface TablePrinter {
  readonly columns: readonly TableColumn[];
  /** `now` in Unix milliseconds, for ages. */
  readonly row: (object: KubeObject, now: number) => readonly Cell[];
}

/** `Name` is marked for clients that look for it; `!` in front of a title means `-o wide` only. */
export function columnsOf(...titles: readonly string[]): readonly TableColumn[] {
  return titles.map((title) => {
    const name = title.replace(/^!/, "");
    return {
      name,
      type: INTEGERS.has(name) ? "integer" : "string",
      format: name === "Name" ? "name" : "",
      description: "",
      priority: title.startsWith("!") ? 1 : 0,
    };
  });
}

const INTEGERS = new Set([
  "Data",
  "Secrets",
  "Count",
  "Desired",
  "Current",
  "Up-To-Date",
  "Available",
  "Value",
]);

/** A printer for objects of one generated type; every row starts with the name and ends its narrow part as given. */
export function printer<Kind>(
  columns: readonly TableColumn[],
  cells: (object: Kind, now: number) => readonly (Cell | undefined)[],
): TablePrinter {
  return {
    columns,
    // The store holds only objects that passed the decoder of their kind.
    row: (object, now) => cells(object as unknown as Kind, now).map((cell) => cell ?? "<none>"),
  };
}

export function age(
  object: { readonly metadata?: { readonly creationTimestamp?: string } },
  now: number,
): string {
  return ageOf(object.metadata?.creationTimestamp, now);
}

/** Kinds without a table of their own: name and creation time, which kubectl shows as NAME and AGE. */
export const genericPrinter: TablePrinter = printer<KubeObject>(columnsOf("Name", "Age"), (object, now) => [
  object.metadata.name,
  age(object, now),
]);

/** `a=b,c=d`, or `<none>` (`labels.FormatLabels`). */
export function formatLabels(labels: Readonly<Record<string, string>> | undefined): string {
  const entries = Object.entries(labels ?? {}).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return entries.length === 0 ? "<none>" : entries.map(([key, value]) => `${key}=${value}`).join(",");
}
