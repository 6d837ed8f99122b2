/** All metrics of the process: what sidecars declare, what the runtime itself counts, and the text that Prometheus reads. */
import type { Counter, Gauge, Histogram, HistogramOptions, Labels, Meter } from "../kernel/meter.ts";
import { Family, type FamilyKind, type SeriesKey } from "./metric-family.ts";

const PREFIX = "pillion_";
const NAME = /^[a-z][a-z0-9]*(_[a-z0-9]+)+$/;
const LABEL = /^[a-z][a-z0-9]*(_[a-z0-9]+)*$/;
/** Histograms need it for themselves. */
const TAKEN_LABELS: readonly string[] = ["le"];
/** Every series of a sidecar has it anyway. */
const OWNER_LABEL = "sidecar";

interface Declaration {
  readonly name: string;
  readonly kind: FamilyKind;
  readonly help: string;
  readonly labels: readonly string[];
  readonly buckets?: readonly number[];
}

/** A meter with its sidecar's life around it. */
export interface SidecarMeter extends Meter {
  /** The sidecar's run is over: nobody asks its gauges' sources any more; their last values and all counters stay. */
  endRun(): void;
  /** The sidecar is gone from the configuration: so are its series. */
  remove(): void;
}

export class Metrics {
  readonly #families = new Map<string, Family>();
  readonly #warn: (message: string, because: unknown) => void;

  /** `warn` hears of sources of gauges that throw. */
  constructor(warn: (message: string, because: unknown) => void) {
    this.#warn = warn;
  }

  /** For one sidecar: names begin with its kind, series carry its name. */
  forSidecar({ name, kind }: { readonly name: string; readonly kind: string }): SidecarMeter {
    const declared = new Map<string, Family>();
    const stem = `${kind.replaceAll("-", "_")}_`;
    const declare = (declaration: Declaration): Family => {
      checkName(declaration);
      if (!declaration.name.startsWith(stem) || declaration.labels.includes(OWNER_LABEL))
        throw new TypeError(
          `Metric "${declaration.name}" must begin with "${stem}" and have no label "${OWNER_LABEL}"`,
        );
      if (declared.has(declaration.name))
        throw new TypeError(`Metric "${declaration.name}" is declared twice`);
      const family = this.#family({ ...declaration, name: `${PREFIX}${declaration.name}` });
      declared.set(declaration.name, family);
      return family;
    };
    return {
      ...meterOver(declare, name),
      endRun: () => {
        for (const family of declared.values()) family.settle(name, this.#warn);
      },
      remove: () => {
        for (const family of declared.values()) family.removeOwner(name);
        for (const [key, family] of this.#families) if (family.isOwnerless) this.#families.delete(key);
      },
    };
  }

  /** For the runtime: names are given whole, series have no `sidecar` label of their own accord. */
  forProcess(): Meter {
    return meterOver((declaration) => {
      checkName(declaration);
      if (this.#families.has(declaration.name))
        throw new TypeError(`Metric "${declaration.name}" is declared twice`);
      return this.#family(declaration);
    }, undefined);
  }

  /** A counter of the process that somebody else keeps, read when it is asked for. */
  readCounter(name: string, help: string, read: () => number): void {
    checkName({ name, kind: "counter", help, labels: [] });
    const family = this.#family({ name, kind: "counter", help, labels: [] });
    family.collect(undefined, () => [{ value: read() }]);
  }

  /** Prometheus text format 0.0.4. */
  text(): string {
    const families = [...this.#families.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1));
    return families.map((family) => family.text(this.#warn)).join("");
  }

  #family({ name, kind, help, labels, buckets }: Declaration): Family {
    const known = this.#families.get(name);
    if (known === undefined) {
      const family = new Family({ name, kind, help, labels, buckets: buckets ?? [] });
      this.#families.set(name, family);
      return family;
    }
    if (!known.isSameAs({ name, kind, help, labels, buckets: buckets ?? [] }))
      throw new TypeError(`Metric "${name}" is declared in two ways`);
    return known;
  }
}

function meterOver(declare: (declaration: Declaration) => Family, owner: SeriesKey["owner"]): Meter {
  return {
    counter(name, help, labels = []): Counter {
      const family = declare({ name, kind: "counter", help, labels });
      if (labels.length === 0) family.series(owner, {});
      const add = (by: number, given: Labels) => family.add(family.series(owner, given), by);
      return {
        add: (by = 1, given = {}) => add(by, given),
        with(given) {
          const series = family.series(owner, given);
          return { add: (by = 1) => family.add(series, by) };
        },
      };
    },
    gauge(name, help, labels = []): Gauge {
      const family = declare({ name, kind: "gauge", help, labels });
      return {
        set: (value, given = {}) => family.set(owner, given, value),
        collect: (source) => family.collect(owner, source),
      };
    },
    histogram(name, help, { buckets, labels = [] }: HistogramOptions): Histogram {
      checkBuckets(name, buckets);
      const family = declare({ name, kind: "histogram", help, labels, buckets });
      if (labels.length === 0) family.series(owner, {});
      return { observe: (value, given = {}) => family.observe(family.series(owner, given), value) };
    },
  };
}

function checkName({ name, kind, help, labels }: Declaration): void {
  if (!NAME.test(name)) throw new TypeError(`Metric name "${name}" must be like "kind_thing_unit"`);
  if ((kind === "counter") !== name.endsWith("_total"))
    throw new TypeError(`Metric "${name}": counters, and only they, end in "_total"`);
  if (kind === "histogram" && /_(bucket|count|sum)$/.test(name))
    throw new TypeError(`Histogram "${name}" must not end like one of its own series`);
  if (help.trim() === "") throw new TypeError(`Metric "${name}" needs a help text`);
  for (const label of labels) {
    if (!LABEL.test(label) || TAKEN_LABELS.includes(label))
      throw new TypeError(`Metric "${name}" cannot have a label "${label}"`);
  }
  if (new Set(labels).size !== labels.length) throw new TypeError(`Metric "${name}" names a label twice`);
}

function checkBuckets(name: string, buckets: readonly number[]): void {
  const isAscending = buckets.every(
    (bound, index) => Number.isFinite(bound) && (index === 0 || bound > (buckets[index - 1] ?? bound)),
  );
  if (buckets.length === 0 || !isAscending)
    throw new TypeError(`Histogram "${name}" needs finite upper bounds in ascending order`);
}
