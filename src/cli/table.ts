/** Prints what the API answers as `Table`: the columns kubectl users know, without kubectl. */

export interface ApiTable {
  readonly columnDefinitions: readonly { readonly name: string; readonly priority: number }[];
  readonly rows: readonly { readonly cells: readonly unknown[]; readonly object?: unknown }[];
}

/** Accept header that asks for a Table. */
export const TABLE_ACCEPT = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";

/** Columns two spaces apart, headings in upper case, narrow columns only (priority 0). */
export function formatTable({ columnDefinitions, rows }: ApiTable): string {
  const shown = columnDefinitions.flatMap(({ name, priority }, index) =>
    priority === 0 ? [{ name, index }] : [],
  );
  return formatColumns([
    shown.map(({ name }) => name.toUpperCase()),
    ...rows.map(({ cells }) => shown.map(({ index }) => textOf(cells[index]))),
  ]);
}

/** Rows of text as aligned columns; the last column is not padded. */
export function formatColumns(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((cell, index) => (widths[index] = Math.max(widths[index] ?? 0, cell.length)));
  }
  const line = (row: readonly string[]) =>
    row.map((cell, index) => cell.padEnd(widths[index] ?? 0)).join("   ");
  return rows.map((row) => `${line(row).trimEnd()}\n`).join("");
}

function textOf(cell: unknown): string {
  if (cell === undefined || cell === null) return "";
  return typeof cell === "string" ? cell : JSON.stringify(cell);
}
