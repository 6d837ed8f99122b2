/** What one kind of object looks like in a table: columns, and the cells of a row. */
import type { KubeObject, ObjectMeta } from "../../../k8s/object.ts";

/** `metav1.TableColumnDefinition`; kubectl shows priority 0 always, 1 with `-o wide`, and upper-cases the name. */
export interface TableColumn {
  readonly name: string;
  readonly type: "string" | "integer" | "number" | "boolean" | "date";
  /** `name` marks the column that names the object. */
  readonly format: string;
  readonly description: string;
  readonly priority: number;
}

export type Cell = string | number | boolean | null;

export interface TablePrinter {
  readonly columns: readonly TableColumn[];
  /** One cell per column, wide ones included. `now` is Unix milliseconds, for ages. */
  readonly row: (object: KubeObject, now: number) => readonly Cell[];
}

export interface ColumnOptions {
  readonly type?: TableColumn["type"];
  /** True for columns of `-o wide`. */
  readonly wide?: boolean;
  readonly description?: string;
}

export function column(name: string, options: ColumnOptions = {}): TableColumn {
  const { type = "string", wide = false, description = "" } = options;
  return { name, type, format: name === "Name" ? "name" : "", description, priority: wide ? 1 : 0 };
}

export const NAME = column("Name", {
  description: "Name of the object, unique among its kind and namespace",
});
export const AGE = column("Age", { description: "Time since the object was created" });

interface Named {
  readonly metadata: ObjectMeta;
}

/** A printer for objects of shape `T`; the API has checked the types of all fields before it stored them. */
// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- It names the shape that rows destructure.
export function definePrinter<T>(
  columns: readonly TableColumn[],
  row: (object: T & Named, now: number) => readonly Cell[],
): TablePrinter {
  return { columns, row: (object, now) => row(object as unknown as T & Named, now) };
}
