/** How lines become events of several lines, as configured. */
import { compileLinear } from "../../../lib/linear-regex.ts";
import { goTrace } from "./go-trace.ts";
import { javaTrace } from "./java-trace.ts";
import type { LineJoiner } from "./line-joiner.ts";
import { pythonTrace } from "./python-trace.ts";

export interface Multiline {
  readonly by: { readonly trace: Trace } | { readonly start: string } | { readonly continue: string };
  /** How long an unfinished event waits for its next line, milliseconds. */
  readonly timeout: number;
  readonly maxLines: number;
  /** Bytes in the file, line ends included. */
  readonly maxBytes: number;
}

/** Traces that are known. */
export const TRACES = ["java", "python", "go"] as const;
export type Trace = (typeof TRACES)[number];

const MAKERS: Readonly<Record<Trace, () => LineJoiner>> = {
  java: javaTrace,
  python: pythonTrace,
  go: goTrace,
};

/** What makes a joiner for each stream; patterns are compiled once. Throws `PatternError` for one that the engine does not take. */
export function joinersOf({ by }: Multiline): () => LineJoiner {
  if ("trace" in by) return MAKERS[by.trace];
  const isStart = "start" in by;
  const regex = compileLinear(isStart ? by.start : by.continue);
  const joiner = { begin: () => undefined, joins: (line: string) => regex.test(line) !== isStart };
  return () => joiner;
}
