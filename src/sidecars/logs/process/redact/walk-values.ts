/** Visits every text and number inside a record's fields, however deep, and puts back what the visitor makes of it. */

/** `name` is that of the nearest named field around the value: items of lists go by the name of their list. */
export type Visit = (value: string | number, name: string) => string | number;

interface Container {
  readonly node: object;
  /** For items of lists. */
  readonly name: string;
}

/** No recursion: a line of brackets is as deep as it is long. Frozen objects are ours, not the event's, and are left alone. */
export function walkValues(fields: object, visit: Visit): void {
  const open: Container[] = [{ node: fields, name: "" }];
  for (let container = open.pop(); container !== undefined; container = open.pop()) {
    const { node } = container;
    const isList = Array.isArray(node);
    for (const key of Object.keys(node)) {
      const value = (node as Readonly<Record<string, unknown>>)[key];
      const name = isList ? container.name : key;
      if (typeof value === "string" || typeof value === "number") {
        const visited = visit(value, name);
        if (visited !== value) replace(node, key, visited);
      } else if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
        open.push({ node: value, name });
      }
    }
  }
}

function replace(node: object, key: string, value: unknown): void {
  // Assignment would take this name for something else.
  if (key === "__proto__")
    Object.defineProperty(node, key, { value, writable: true, enumerable: true, configurable: true });
  else (node as Record<string, unknown>)[key] = value;
}
