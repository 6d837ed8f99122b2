/** Panics and dumps of goroutines as the Go runtime prints them. */
import type { LineJoiner } from "./line-joiner.ts";

/**
 * `ordinary`: no trace. `serving`: an ordinary line that says "panic", as `net/http` logs one; its dump may follow. `head`: what the
 * runtime says before the first goroutine. `stack`: within the goroutines.
 */
type State = "ordinary" | "serving" | "head" | "stack";

const HEAD = /^(?:panic: |fatal error: |runtime: |unexpected fault address |SIG[A-Z]+: )/;
const GOROUTINE = /^goroutine (?:\d+ |running on )/;
const SIGNAL = /^(?:\[signal |PC=0x|\[originating from |\[recovered)/;
/** `main.handle({0x1, 0x2}, 0x3)`, `created by net/http.(*Server).Serve in goroutine 1`. */
const FUNCTION = /^(?:created by \S+|[^\s(]+\(.*\)$)/;
const ELIDED = /^\.\.\.(?:additional|\d+) frames elided/;
const REGISTER =
  /^(?:[er]?[a-d]x|[er]?[sd]i|[er]?[sbi]p|r\d+|x\d+|[rf]?flags|[c-g]s|lr|pc|sp|fault|pstate)\s+0x/;

/** A joiner for Go. */
export function goTrace(): LineJoiner {
  let state: State = "ordinary";
  return {
    begin(line) {
      state = HEAD.test(line)
        ? "head"
        : opensStack(line)
          ? "stack"
          : line.includes("panic")
            ? "serving"
            : "ordinary";
    },
    joins(line) {
      if (state === "ordinary" || !joinsIn(state, line)) return false;
      if (opensStack(line)) state = "stack";
      return true;
    },
  };
}

function joinsIn(state: State, line: string): boolean {
  if (opensStack(line)) return true;
  if (state === "serving") return false;
  if (line.charCodeAt(0) === 9 || SIGNAL.test(line)) return true;
  if (state === "head") return HEAD.test(line) && !line.startsWith("panic: ");
  return FUNCTION.test(line) || ELIDED.test(line) || REGISTER.test(line) || /^exit status \d+$/.test(line);
}

function opensStack(line: string): boolean {
  return (
    line === "runtime stack:" ||
    (GOROUTINE.test(line) && (line.endsWith("]:") || line.endsWith("unavailable")))
  );
}
