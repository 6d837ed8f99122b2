/** The stages between parsing and delivery, in order: metadata, keep and drop, sample, redact. */
import type { PodIdentity } from "../../../kernel/host.ts";
import type { Counter } from "../../../kernel/meter.ts";
import type { LogRecord } from "../record.ts";
import type { ProcessConfig } from "./config.ts";
import { anyOf } from "./conditions.ts";
import { createRedactor } from "./redact/redactor.ts";
import { createSampler } from "./sampler.ts";

export interface ProcessorOptions {
  readonly config: ProcessConfig;
  readonly pod: PodIdentity;
  /** Records left out, by `stage`: `keep`, `drop` or `sample`. */
  readonly dropped: Counter;
  /** Values masked, by `pattern`. */
  readonly redacted: Counter;
  /** Milliseconds that only grow. */
  readonly monotonic: () => number;
}

export interface Processor {
  /** Changes the record's fields and text. False: the record is left out, and counted. */
  readonly process: (record: LogRecord) => boolean;
}

type Stage = (record: LogRecord) => boolean;

/** Throws `Problem` E_REDACTION when a pattern does not mask its own sample. */
export function createProcessor({ config, pod, dropped, redacted, monotonic }: ProcessorOptions): Processor {
  const { keep, drop, sample, redact } = config;
  const stages: Stage[] = [];
  const filter = (stage: string, stays: Stage) => {
    const counter = dropped.with({ stage });
    stages.push((record) => {
      if (stays(record)) return true;
      counter.add();
      return false;
    });
  };
  const enrich = metadataStage(config.metadata, pod);
  if (enrich !== undefined) stages.push(enrich);
  if (keep.length > 0) filter("keep", anyOf(keep));
  if (drop.length > 0) {
    const isUnwanted = anyOf(drop);
    filter("drop", (record) => !isUnwanted(record));
  }
  if (sample.length > 0) filter("sample", createSampler(sample));
  if (redact.length > 0) {
    const mask = createRedactor({ redactions: redact, redacted, monotonic });
    stages.push((record) => {
      mask(record);
      return true;
    });
  }
  return { process: (record) => stages.every((stage) => stage(record)) };
}

/** Undefined when nothing is to be added. A field of the event's own is never overwritten. */
function metadataStage({ file, ...chosen }: ProcessConfig["metadata"], pod: PodIdentity): Stage | undefined {
  const facts = chosen.pod ? podFacts(pod, chosen.labels) : undefined;
  if (facts === undefined && !file) return undefined;
  return ({ fields, origin }) => {
    if (facts !== undefined && !Object.hasOwn(fields, "pod")) fields["pod"] = facts;
    if (file && !Object.hasOwn(fields, "file")) fields["file"] = origin.path;
    return true;
  };
}

/** One object for all records, frozen: no stage may change it. Undefined where nothing is known. */
function podFacts(
  { name, namespace, node, labels }: PodIdentity,
  wanted: readonly string[],
): Readonly<Record<string, unknown>> | undefined {
  const facts: Record<string, unknown> = {};
  for (const [key, value] of Object.entries({ name, namespace, node })) {
    if (value !== undefined) facts[key] = value;
  }
  const chosen = wanted
    .filter((label) => Object.hasOwn(labels, label))
    .map((label) => [label, labels[label]]);
  if (chosen.length > 0) facts["labels"] = Object.freeze(Object.fromEntries(chosen));
  return Object.keys(facts).length === 0 ? undefined : Object.freeze(facts);
}
