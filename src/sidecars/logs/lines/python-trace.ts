/** Tracebacks as CPython prints them: from "Traceback" to the line that names the exception, chained ones with what they hang on. */
import type { LineJoiner } from "./line-joiner.ts";

/**
 * `ordinary`: no trace. `frames`: indented lines, then one at the margin that names the exception. `named`: that line has come.
 * `chain`: the sentence between two tracebacks has come. `group`: an exception group, drawn with `|` and `+`.
 */
type State = "ordinary" | "frames" | "named" | "chain" | "group";

const HEAD = "Traceback (most recent call last):";
const GROUP = /^\s+[+|]/;
const GROUP_HEAD = /^\s+\+ Exception Group Traceback \(most recent call last\):/;
/** A syntax error has no head. */
const LONE_FRAME = /^\s+File ".*", line \d+/;
const CHAINS = [
  "During handling of the above exception, another exception occurred:",
  "The above exception was the direct cause of the following exception:",
];

/** A joiner for Python. */
export function pythonTrace(): LineJoiner {
  let state: State = "ordinary";
  return {
    begin(line) {
      state = openedBy(line) ?? "ordinary";
    },
    joins(line) {
      const next = nextState(state, line);
      if (next === undefined) return false;
      state = next;
      return true;
    },
  };
}

/** The state behind the first line of a trace; undefined where it is none. */
function openedBy(line: string): State | undefined {
  if (line.startsWith(HEAD) || LONE_FRAME.test(line)) return "frames";
  return GROUP_HEAD.test(line) ? "group" : undefined;
}

/** Undefined: the line does not belong to the trace. */
function nextState(state: State, line: string): State | undefined {
  switch (state) {
    case "ordinary":
      return undefined;
    case "frames":
      return isIndented(line) ? "frames" : "named";
    case "group":
      if (GROUP.test(line)) return GROUP_HEAD.test(line) ? undefined : "group";
      return CHAINS.includes(line.trim()) ? "chain" : undefined;
    case "named":
      // Some messages go on in indented lines.
      if (CHAINS.includes(line)) return "chain";
      return isIndented(line) && !LONE_FRAME.test(line) ? "named" : undefined;
    case "chain":
      return openedBy(line);
  }
  return undefined;
}

function isIndented(line: string): boolean {
  const code = line.charCodeAt(0);
  return code === 32 || code === 9;
}
