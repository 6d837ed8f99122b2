/** Keeps one of so many records: the same ones when they are read again, so that a restart sends no others. */
import type { LogRecord } from "../record.ts";
import type { ProcessConfig } from "./config.ts";
import { compileRule, type Predicate } from "./conditions.ts";

/** The first entry that applies to a record decides; records that none applies to stay. */
export function createSampler(entries: ProcessConfig["sample"]): Predicate {
  const rules = entries.map(({ every, where }) => ({
    every,
    applies: where === undefined ? () => true : compileRule(where),
  }));
  return (record) => {
    const rule = rules.find(({ applies }) => applies(record));
    return rule === undefined || hashOf(record) % rule.every === 0;
  };
}

/** Of what names the record for ever: its file and its place in it. */
function hashOf({ origin, end }: LogRecord): number {
  return Bun.hash.xxHash32(`${origin.key}@${end}`);
}
