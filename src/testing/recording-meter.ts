/** A meter that remembers plain numbers, for tests of sidecars and their parts. */
import type { Counter, Gauge, Histogram, HistogramOptions, Labels, Meter } from "../kernel/meter.ts";

export interface Declaration {
  readonly name: string;
  readonly type: "counter" | "gauge" | "histogram";
  readonly help: string;
  readonly labels: readonly string[];
}

export class RecordingMeter implements Meter {
  readonly #values = new Map<string, number>();
  readonly #sources = new Map<string, Parameters<Gauge["collect"]>[0]>();
  readonly #declared = new Map<string, Declaration>();

  /** Everything that was declared. */
  get names(): string[] {
    return [...this.#declared.keys()];
  }

  get declarations(): readonly Declaration[] {
    return [...this.#declared.values()];
  }

  /** What a counter or gauge has now, 0 when nothing was said; for a histogram the number of observations. */
  value(name: string, labels: Labels = {}): number {
    if (!this.#declared.has(name)) throw new RangeError(`Metric "${name}" was never declared`);
    const key = keyOf(name, labels);
    for (const sample of this.#sources.get(name)?.() ?? []) {
      if (keyOf(name, sample.labels ?? {}) === key) return sample.value;
    }
    return this.#values.get(key) ?? 0;
  }

  /** The sum over all labels. */
  total(name: string): number {
    let sum = 0;
    for (const [key, value] of this.#values) if (key.startsWith(`${name}{`)) sum += value;
    return sum;
  }

  counter(name: string, help: string, labels: readonly string[] = []): Counter {
    this.#declare({ name, type: "counter", help, labels });
    return {
      add: (by = 1, labels = {}) => this.#add(keyOf(name, labels), by),
      with: (labels) => {
        const key = keyOf(name, labels);
        return { add: (by = 1) => this.#add(key, by) };
      },
    };
  }

  gauge(name: string, help: string, labels: readonly string[] = []): Gauge {
    this.#declare({ name, type: "gauge", help, labels });
    return {
      set: (value, labels = {}) => void this.#values.set(keyOf(name, labels), value),
      collect: (source) => void this.#sources.set(name, source),
    };
  }

  histogram(name: string, help: string, { labels = [] }: HistogramOptions): Histogram {
    this.#declare({ name, type: "histogram", help, labels });
    return { observe: (_value, labels = {}) => this.#add(keyOf(name, labels), 1) };
  }

  #declare(metric: Declaration): void {
    const { name } = metric;
    if (this.#declared.has(name)) throw new TypeError(`Metric "${name}" is declared twice`);
    this.#declared.set(name, metric);
  }

  #add(key: string, by: number): void {
    if (!(by >= 0)) throw new RangeError(`A counter only grows: ${by}`);
    this.#values.set(key, (this.#values.get(key) ?? 0) + by);
  }
}

function keyOf(name: string, labels: Labels): string {
  const pairs = Object.entries(labels).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return `${name}{${pairs.map(([key, value]) => `${key}=${JSON.stringify(value)}`).join(",")}}`;
}
