/** One metric with all its series: counts, and writes itself in Prometheus' text format 0.0.4. */
import type { Gauge, Labels } from "../kernel/meter.ts";

export type FamilyKind = "counter" | "gauge" | "histogram";

export interface FamilyOptions {
  readonly name: string;
  readonly kind: FamilyKind;
  readonly help: string;
  /** Without `sidecar`, which every series with an owner has. */
  readonly labels: readonly string[];
  /** Upper bounds, ascending; empty unless it is a histogram. */
  readonly buckets: readonly number[];
}

export interface SeriesKey {
  /** The sidecar's name; undefined for the process itself. */
  readonly owner: string | undefined;
}

export interface Series extends SeriesKey {
  /** `a="b",c="d"`, escaped, possibly empty. */
  readonly labels: string;
  /** Of a counter or gauge; of a histogram the sum. */
  value: number;
  /** Observations per bucket, the last one beyond all bounds. Not cumulated. */
  readonly counts: number[];
}

type Source = Parameters<Gauge["collect"]>[0];
type Warn = (message: string, because: unknown) => void;

export class Family {
  readonly #options: FamilyOptions;
  readonly #series = new Map<string, Series>();
  readonly #sources = new Map<SeriesKey["owner"], Source>();

  constructor(options: FamilyOptions) {
    this.#options = options;
  }

  get name(): string {
    return this.#options.name;
  }

  get isOwnerless(): boolean {
    return this.#series.size === 0 && this.#sources.size === 0;
  }

  isSameAs(other: FamilyOptions): boolean {
    return JSON.stringify(other) === JSON.stringify(this.#options);
  }

  /** Throws `TypeError` unless exactly the declared labels are given. */
  series(owner: SeriesKey["owner"], labels: Labels): Series {
    const text = this.#labelText(owner, labels);
    const known = this.#series.get(text);
    if (known !== undefined) return known;
    const { kind, buckets } = this.#options;
    const counts = kind === "histogram" ? Array.from({ length: buckets.length + 1 }, () => 0) : [];
    const series = { owner, labels: text, value: 0, counts };
    this.#series.set(text, series);
    return series;
  }

  /** Throws `RangeError` for what would make a counter shrink. */
  add(series: Series, by: number): void {
    if (!(by >= 0)) throw new RangeError(`Counter "${this.name}" cannot grow by ${by}`);
    series.value += by;
  }

  observe(series: Series, value: number): void {
    const { buckets } = this.#options;
    let bucket = 0;
    while (bucket < buckets.length && value > (buckets[bucket] ?? 0)) bucket += 1;
    series.counts[bucket] = (series.counts[bucket] ?? 0) + 1;
    series.value += value;
  }

  set(owner: SeriesKey["owner"], labels: Labels, value: number): void {
    this.series(owner, labels).value = value;
  }

  collect(owner: SeriesKey["owner"], source: Source): void {
    this.#sources.set(owner, source);
  }

  /** Asks the owner's source for the last time. */
  settle(owner: SeriesKey["owner"], warn: Warn): void {
    this.#ask(owner, warn);
    this.#sources.delete(owner);
  }

  removeOwner(owner: SeriesKey["owner"]): void {
    this.#sources.delete(owner);
    this.#clear(owner);
  }

  text(warn: Warn): string {
    for (const owner of this.#sources.keys()) this.#ask(owner, warn);
    const { name, kind, help } = this.#options;
    const lines = [...this.#series.values()].flatMap((series) => this.#linesOf(series));
    if (lines.length === 0) return "";
    return `# HELP ${name} ${escapeHelp(help)}\n# TYPE ${name} ${kind}\n${lines.join("\n")}\n`;
  }

  /** A source that throws costs its own values only. */
  #ask(owner: SeriesKey["owner"], warn: Warn): void {
    const source = this.#sources.get(owner);
    if (source === undefined) return;
    try {
      const samples = [...source()];
      this.#clear(owner);
      for (const { value, labels } of samples) this.set(owner, labels ?? {}, value);
    } catch (because) {
      this.#clear(owner);
      warn(`Cannot collect metric "${this.name}"`, because);
    }
  }

  #clear(owner: SeriesKey["owner"]): void {
    for (const [key, series] of this.#series) if (series.owner === owner) this.#series.delete(key);
  }

  #linesOf({ labels, value, counts }: Series): string[] {
    const { name, kind, buckets } = this.#options;
    const inBraces = labels === "" ? "" : `{${labels}}`;
    if (kind !== "histogram") return [`${name}${inBraces} ${formatNumber(value)}`];
    let total = 0;
    const comma = labels === "" ? "" : ",";
    const lines = counts.map((count, index) => {
      total += count;
      return `${name}_bucket{${labels}${comma}le="${formatNumber(buckets[index] ?? Infinity)}"} ${total}`;
    });
    return [...lines, `${name}_sum${inBraces} ${formatNumber(value)}`, `${name}_count${inBraces} ${total}`];
  }

  #labelText(owner: SeriesKey["owner"], given: Labels): string {
    const { labels, name } = this.#options;
    let count = 0;
    for (const _ in given) count += 1;
    let text = owner === undefined ? "" : `sidecar="${escapeLabel(owner)}"`;
    for (const label of labels) {
      const value = given[label];
      if (value === undefined) throw new TypeError(`Metric "${name}" needs the label "${label}"`);
      text += `${text === "" ? "" : ","}${label}="${escapeLabel(value)}"`;
    }
    if (count !== labels.length)
      throw new TypeError(`Metric "${name}" has only the labels "${labels.join(", ")}"`);
    return text;
  }
}

function escapeHelp(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
}

/** Also makes what is no Unicode text into such, before two values that would look the same become two series. */
function escapeLabel(value: string): string {
  const text = value.toWellFormed();
  if (!/["\\\n]/.test(text)) return text;
  return text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll('"', '\\"');
}

/** As Go's `ParseFloat` reads it. */
function formatNumber(value: number): string {
  if (value === Infinity) return "+Inf";
  if (value === -Infinity) return "-Inf";
  return String(value);
}
