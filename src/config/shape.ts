/** Finds its way in a JSON Schema: which keys are known at a place, and what is said of them. */

/** The part of a JSON Schema that is needed for that. */
export interface Shape {
  readonly description?: string | undefined;
  readonly const?: unknown;
  /** The value says where a secret is; see `secret()` in kernel/config-types.ts. */
  readonly "x-secret"?: unknown;
  readonly properties?: Readonly<Record<string, unknown>> | undefined;
  readonly additionalProperties?: unknown;
  readonly items?: unknown;
  readonly anyOf?: readonly unknown[] | undefined;
  readonly oneOf?: readonly unknown[] | undefined;
}

/** Several, where a union leaves it open. */
export type Shapes = readonly Shape[];

/** The shapes of the value at `path`; `input` is the whole value, which tells the members of unions apart. */
export function shapesAt(shape: Shape, path: readonly (string | number)[], input: unknown): Shapes {
  let shapes: Shapes = [shape];
  let value = input;
  for (const step of path) {
    shapes = shapes.flatMap((one) => alternatives(one, value)).flatMap((one) => childShape(one, step));
    value = childValue(value, step);
  }
  return shapes.flatMap((one) => [one, ...alternatives(one, value).filter((other) => other !== one)]);
}

/** The shapes of the value below `key`. */
export function shapesBelow(shapes: Shapes, key: string): Shapes {
  return shapes
    .flatMap((shape) => childShape(shape, key))
    .flatMap((shape) => [shape, ...alternatives(shape, undefined).filter((other) => other !== shape)]);
}

/** In the order of the schema. */
export function knownKeys(shapes: Shapes): readonly string[] {
  return [...new Set(shapes.flatMap(({ properties }) => Object.keys(properties ?? {})))];
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The members of a union that the value may be meant for; the shape itself when it is no union. */
function alternatives(shape: Shape, value: unknown): Shapes {
  const members = [...(shape.anyOf ?? []), ...(shape.oneOf ?? [])].filter(isRecord);
  if (members.length === 0) return [shape];
  const all = members.flatMap((member) => alternatives(member, value));
  if (!isRecord(value)) return all;
  const agreeing = all.filter((member) => agrees(member, value));
  const known = (member: Shape) => Object.keys(value).filter((key) => member.properties?.[key]).length;
  const most = Math.max(...agreeing.map((member) => known(member)));
  const best = agreeing.filter((member) => known(member) === most);
  return best.length === 0 ? all : best;
}

/** False when a constant of the shape, such as a `kind`, has another value here. */
function agrees({ properties = {} }: Shape, value: Readonly<Record<string, unknown>>): boolean {
  return Object.entries(properties).every(
    ([key, property]) =>
      !isRecord(property) ||
      property["const"] === undefined ||
      value[key] === undefined ||
      value[key] === property["const"],
  );
}

function childShape(shape: Shape, step: string | number): Shapes {
  const child =
    typeof step === "number" ? shape.items : (shape.properties?.[step] ?? shape.additionalProperties);
  return isRecord(child) ? [child] : [];
}

function childValue(value: unknown, step: string | number): unknown {
  if (Array.isArray(value)) return value[Number(step)];
  return isRecord(value) ? value[step] : undefined;
}
