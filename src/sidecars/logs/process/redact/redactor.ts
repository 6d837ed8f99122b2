/** Masks secrets in whole records, text and fields alike, before anything is kept or sent. */
import type { Counter } from "../../../../kernel/meter.ts";
import type { LogRecord } from "../../record.ts";
import type { Redaction } from "../config.ts";
import { type BuiltinName, DETECTORS } from "./builtins.ts";
import { maskSpans, type Pattern, preparePatterns, replacementOf } from "./patterns.ts";
import { walkValues } from "./walk-values.ts";

export interface RedactorOptions {
  readonly redactions: readonly (BuiltinName | Redaction)[];
  /** By `pattern`. What is masked in a record's text and in its fields counts once. */
  readonly redacted: Counter;
  /** Milliseconds that only grow. */
  readonly monotonic: () => number;
}

export type Redact = (record: LogRecord) => void;

/** Throws `Problem` E_REDACTION when a pattern does not mask its own sample. */
export function createRedactor({ redactions, redacted, monotonic }: RedactorOptions): Redact {
  const patterns = preparePatterns(redactions, monotonic);
  const masking = new Masking(patterns);
  const counters = patterns.map(({ name }) => redacted.with({ pattern: name }));
  return (record) => {
    if (!masking.mask(record)) return;
    for (const [index, counter] of counters.entries()) {
      const count = masking.countOf(index);
      if (count > 0) counter.add(count);
    }
  };
}

/** Patterns by index, sets of them as bits: they are 30 at most. */
class Masking {
  readonly #patterns: readonly Pattern[];
  readonly #masks: ReadonlySet<string>;
  readonly #all: number;
  /** Those that are looked for in fields, whatever the text says. */
  readonly #always: number;
  /** Index of the pattern that knows cards; -1 when nobody asked for it. */
  readonly #cards: number;
  /** Index of the pattern that goes by names of fields; -1 when nobody asked for it. */
  readonly #named: number;
  readonly #inText: Uint32Array;
  readonly #inFields: Uint32Array;

  constructor(patterns: readonly Pattern[]) {
    this.#patterns = patterns;
    this.#masks = new Set(patterns.map(({ mask }) => mask));
    this.#all = 2 ** patterns.length - 1;
    this.#always = patterns.reduce(
      (bits, { looksAtParts }, index) => bits | (looksAtParts ? 1 << index : 0),
      0,
    );
    this.#cards = patterns.findIndex(({ detector }) => detector === DETECTORS.cards);
    this.#named = patterns.findIndex(({ detector }) => detector.isSecretName !== undefined);
    this.#inText = new Uint32Array(patterns.length);
    this.#inFields = new Uint32Array(patterns.length);
  }

  /** Whether there was anything to look at; then `countOf` tells what came of it. */
  mask(record: LogRecord): boolean {
    const { text } = record;
    const suspects = this.#suspectsOf(text, this.#all);
    // Fields are made of the text: what cannot be in it cannot be in them, unless escapes hide it.
    const asked = text.includes("\\") ? this.#all : suspects | this.#always;
    if (asked === 0) return false;
    this.#inText.fill(0);
    this.#inFields.fill(0);
    const masked = this.#maskText(text, suspects, this.#inText);
    record.text = masked;
    walkValues(record.fields, (value, name) => {
      const made = this.#maskValue(value, asked, { text, masked });
      return this.#isSecretName(name, asked) ? this.#maskWhole(made, this.#named) : made;
    });
    return true;
  }

  /** How many values the pattern masked in the record at hand. */
  countOf(index: number): number {
    return Math.max(this.#inText[index] ?? 0, this.#inFields[index] ?? 0);
  }

  #suspectsOf(text: string, asked: number): number {
    let suspects = 0;
    for (let index = 0; asked >> index !== 0; index++) {
      if (((asked >> index) & 1) === 1 && this.#patterns[index]?.detector.mayHold(text))
        suspects |= 1 << index;
    }
    return suspects;
  }

  #maskText(text: string, suspects: number, counts: Uint32Array): string {
    let masked = text;
    for (let index = 0; suspects >> index !== 0; index++) {
      const pattern = this.#patterns[index];
      if (pattern === undefined || ((suspects >> index) & 1) === 0) continue;
      const spans = pattern.detector.find(masked);
      if (spans.length === 0) continue;
      masked = maskSpans(masked, spans, (match) => {
        if (this.#masks.has(match)) return match;
        counts[index] = (counts[index] ?? 0) + 1;
        return replacementOf(pattern, match);
      });
    }
    return masked;
  }

  #maskValue(
    value: string | number,
    asked: number,
    whole: { text: string; masked: string },
  ): string | number {
    if (typeof value === "number") return this.#maskNumber(value, asked);
    // The text is a field where nothing was parsed.
    if (value === whole.text) return whole.masked;
    return this.#maskText(value, this.#suspectsOf(value, asked), this.#inFields);
  }

  #isSecretName(name: string, asked: number): boolean {
    if (this.#named < 0 || ((asked >> this.#named) & 1) === 0) return false;
    return this.#patterns[this.#named]?.detector.isSecretName?.(name) === true;
  }

  #maskWhole(value: string | number, index: number): string | number {
    const text = String(value);
    const pattern = this.#patterns[index];
    if (pattern === undefined || text === "" || this.#masks.has(text)) return value;
    this.#inFields[index] = (this.#inFields[index] ?? 0) + 1;
    return replacementOf(pattern, text);
  }

  #maskNumber(value: number, asked: number): string | number {
    const text = String(value);
    const masked = this.#maskText(text, this.#suspectsOf(text, asked), this.#inFields);
    if (masked !== text) return masked;
    // Beyond 2^53 the digits are not those of the text any more: then the text's word counts.
    const isCard =
      this.#cards >= 0 && value > Number.MAX_SAFE_INTEGER && (this.#inText[this.#cards] ?? 0) > 0;
    return isCard ? this.#maskWhole(value, this.#cards) : value;
  }
}
