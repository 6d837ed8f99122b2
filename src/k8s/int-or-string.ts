/** Kubernetes' IntOrString: a number, or a percentage or a name in a string (apimachinery `util/intstr`). */

export type IntOrString = number | string;

export interface PercentRounding {
  /** What a percentage is of. */
  readonly total: number;
  readonly roundUp: boolean;
}

/** Go's `strconv.Atoi` on well-formed decimal text; undefined for anything else. */
export function parseDecimal(text: string): number | undefined {
  if (!/^[+-]?\d+$/.test(text)) return undefined;
  const value = Number(text);
  return Number.isSafeInteger(value) ? value : undefined;
}

/**
 * `intstr.GetScaledValueFromIntOrPercent`: the number itself, or the percentage of `total`.
 * Throws RangeError with the text of the original for strings that are no percentage.
 */
export function scaledValue(value: IntOrString, { total, roundUp }: PercentRounding): number {
  if (typeof value === "number") return value;
  const digits = value.endsWith("%") ? parseDecimal(value.slice(0, -1)) : undefined;
  if (digits === undefined)
    throw new RangeError("invalid value for IntOrString: invalid type: string is not a percentage");
  const exact = (digits * total) / 100;
  return roundUp ? Math.ceil(exact) : Math.floor(exact);
}
