/** Metrics as sidecars declare them. The runtime adds the prefix `pillion_` and the label `sidecar`. */

export type Labels = Readonly<Record<string, string>>;

/** Only grows. Declared names end in `_total`. */
export interface Counter {
  /** `by` is 1 unless given, and never negative. */
  add(by?: number, labels?: Labels): void;
  /** The same counter with its labels fixed, for hot paths: adding is then one addition. */
  with(labels: Labels): { add(by?: number): void };
}

export interface Gauge {
  set(value: number, labels?: Labels): void;
  /** Asks for the values when somebody reads the metrics; replaces what was set. At most one source per gauge. */
  collect(source: () => Iterable<{ readonly value: number; readonly labels?: Labels }>): void;
}

export interface Histogram {
  observe(value: number, labels?: Labels): void;
}

/**
 * Declares metrics. A name is `<kind>_<thing>_<unit>`, for counters with `_total` at the end: lower case, digits and single
 * underscores, beginning with the sidecar's kind. Labels are declared with the metric and are always given together.
 * Throws `TypeError` for names that break the rule and for a name that is declared twice.
 */
export interface Meter {
  counter(name: string, help: string, labels?: readonly string[]): Counter;
  gauge(name: string, help: string, labels?: readonly string[]): Gauge;
  /** `buckets` are upper bounds in the metric's unit, ascending; `+Inf` is added. */
  histogram(name: string, help: string, options: HistogramOptions): Histogram;
}

export interface HistogramOptions {
  readonly buckets: readonly number[];
  readonly labels?: readonly string[];
}
