/** The table of a custom resource, from the columns of its definition (apiextensions-apiserver `tableconvertor`). */
import type { CustomVersion, PrinterColumn } from "../../../k8s/custom/definition.ts";
import { ageOf } from "../../../k8s/duration.ts";
import { compileJsonPath, type JsonPath, JsonPathError } from "../../../k8s/json-path.ts";
import type { KubeObject } from "../../../k8s/object.ts";
import { AGE, type Cell, NAME, type TableColumn, type TablePrinter } from "./table-printer.ts";

const CREATED: PrinterColumn = {
  name: AGE.name,
  type: "date",
  description: AGE.description,
  jsonPath: ".metadata.creationTimestamp",
};

const known = new WeakMap<CustomVersion, TablePrinter>();

export function customPrinter(custom: CustomVersion): TablePrinter {
  const before = known.get(custom);
  if (before !== undefined) return before;
  const { additionalPrinterColumns: own = [] } = custom.version;
  const cells = (own.length === 0 ? [CREATED] : own).map((column) => ({ column, path: pathOf(column) }));
  const printer: TablePrinter = {
    columns: [NAME, ...cells.map(({ column }) => tableColumn(column))],
    row: (object, now) => [object.metadata.name ?? "", ...cells.map((one) => cell(one, object, now))],
  };
  known.set(custom, printer);
  return printer;
}

/** A path that cannot be read leads nowhere: the definition was checked when it came. */
function pathOf({ jsonPath }: PrinterColumn): JsonPath {
  try {
    return compileJsonPath(jsonPath);
  } catch (error) {
    if (error instanceof JsonPathError) return () => [];
    throw error;
  }
}

function tableColumn({ name, type, format = "", description, priority = 0 }: PrinterColumn): TableColumn {
  return {
    name,
    type: type as TableColumn["type"],
    format,
    description: description ?? `Custom resource definition column (in JSONPath format): ${name}`,
    priority,
  };
}

interface Column {
  readonly column: PrinterColumn;
  readonly path: JsonPath;
}

/** Null where there is nothing, or nothing of the column's type. */
function cell({ column: { type }, path }: Column, object: KubeObject, now: number): Cell {
  const [value] = path(object);
  if (value === undefined || value === null) return null;
  switch (type) {
    case "string":
      return typeof value === "string" ? value : JSON.stringify(value);
    case "integer":
      return typeof value === "number" ? Math.trunc(value) : null;
    case "number":
      return typeof value === "number" ? value : null;
    case "boolean":
      return typeof value === "boolean" ? value : null;
    case "date":
      return typeof value !== "string"
        ? null
        : Number.isNaN(Date.parse(value))
          ? "<invalid>"
          : ageOf(value, now);
    default:
      return null;
  }
}
