/** What a configuration's `redact` list asks for, made ready: what to look for, what to put in its place, and how to be sure that it works. */
import { Problem } from "../../../../kernel/problem.ts";
import { compileLinear } from "../../../../lib/linear-regex.ts";
import type { Redaction } from "../config.ts";
import { BUILTIN_NAMES, type BuiltinName, DETECTORS, SAMPLES } from "./builtins.ts";
import { type Detector, isDigit } from "./detector.ts";

export interface Pattern {
  readonly name: string;
  readonly detector: Detector;
  /** It may find in a part of a text what it does not find in the whole: anchors, word boundaries. */
  readonly looksAtParts: boolean;
  /** What stands in the place of a match, before the digits that stay. */
  readonly mask: string;
  /** Digits of a match that stay. */
  readonly keepLast: number;
}

/** What a match may depend on around it; too much rather than too little. */
const EDGES = /[\^$]|\\[bBAzZ]/;
/** What a user's pattern may take for one text, milliseconds; then the rest of the text is masked. */
const PATIENCE_MS = 50;

/**
 * Makes them ready, and tries each on its samples. Throws `Problem` E_REDACTION when one does not mask what it must.
 * `monotonic` gives milliseconds that only grow.
 */
export function preparePatterns(
  redactions: readonly (BuiltinName | Redaction)[],
  monotonic: () => number,
): readonly Pattern[] {
  return redactions.map((entry, index) => {
    const redaction = typeof entry === "string" ? { name: entry } : entry;
    const pattern = prepare(redaction, monotonic);
    const failure = selfTest(pattern, redaction);
    if (failure === undefined) return pattern;
    throw new Problem({
      code: "E_REDACTION",
      message: `Cannot redact "${pattern.name}": ${failure}`,
      fix: isBuiltin(pattern.name)
        ? "report this as a bug of Pillion"
        : `correct "pattern" or "sample" of entry ${index + 1} of "redact"`,
    });
  });
}

function prepare({ name, pattern, with: mask, keepLast = 0 }: Redaction, monotonic: () => number): Pattern {
  return {
    name,
    detector: isBuiltin(name) ? DETECTORS[name] : customDetector(pattern ?? "", monotonic),
    looksAtParts: pattern !== undefined && EDGES.test(pattern),
    mask: mask ?? `[redacted:${name}]`,
    keepLast,
  };
}

function isBuiltin(name: string): name is BuiltinName {
  return (BUILTIN_NAMES as readonly string[]).includes(name);
}

function customDetector(source: string, monotonic: () => number): Detector {
  const regex = compileLinear(source);
  return {
    mayHold: (text) => regex.test(text),
    find(text) {
      const end = monotonic() + PATIENCE_MS;
      return regex.spans(text, () => monotonic() < end);
    },
  };
}

/** What is wrong, without the sample: it may be a secret of the user's. */
function selfTest(pattern: Pattern, { sample }: Redaction): string | undefined {
  const { name, detector } = pattern;
  const samples = isBuiltin(name)
    ? SAMPLES[name]
    : sample === undefined
      ? []
      : [{ text: sample, secret: "" }];
  for (const [index, { text, secret }] of samples.entries()) {
    const spans = detector.mayHold(text) ? detector.find(text) : [];
    if (spans.length === 0) return `it finds nothing in its sample ${index + 1}`;
    const masked = maskSpans(text, spans, (match) => replacementOf(pattern, match));
    if (secret !== "" && masked.includes(secret)) return `it does not mask all of its sample ${index + 1}`;
  }
  return undefined;
}

/** What stands in the place of a match. */
export function replacementOf({ mask, keepLast }: Pattern, match: string): string {
  return keepLast === 0 ? mask : mask + lastDigits(match, keepLast);
}

/** Replaces the spans, start and end by turns, ascending. */
export function maskSpans(
  text: string,
  spans: readonly number[],
  replace: (match: string) => string,
): string {
  let masked = "";
  let from = 0;
  for (let index = 0; index < spans.length; index += 2) {
    const start = spans[index] ?? 0;
    const end = spans[index + 1] ?? 0;
    masked += text.slice(from, start) + replace(text.slice(start, end));
    from = end;
  }
  return masked + text.slice(from);
}

function lastDigits(text: string, count: number): string {
  let last = "";
  for (let at = text.length - 1; at >= 0 && last.length < count; at--) {
    if (isDigit(text.charCodeAt(at))) last = text.charAt(at) + last;
  }
  return last;
}
