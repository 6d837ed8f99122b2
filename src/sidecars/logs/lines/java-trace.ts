/** Stack traces of Java, Kotlin, Scala and JavaScript: the message is an ordinary line, what belongs to it is known by its begin. */
import type { LineJoiner } from "./line-joiner.ts";

/** What follows white space: frames, causes, what loggers leave out, locks in thread dumps. */
const INDENTED =
  /^\s+(?:at |\.\.\. |Caused by: |Suppressed: |Wrapped by: |\[CIRCULAR REFERENCE|\(Coroutine boundary\)|- (?:locked|waiting|parking|eliminated)|\[cause\]: |\[errors\]: )/;
const AT_MARGIN = /^(?:Caused by: |Suppressed: |Wrapped by: |at [\w$.<>/@[\]]+\()/;
/** The letters that such words at the margin begin with: a, C, S, W. */
const MARGIN_CODES = new Set([97, 67, 83, 87]);
/** The properties of a JavaScript error stand in braces behind its last frame. */
const OPENS_BRACE = /\s[{[]$/;
const CLOSES_BRACE = /^\s*[}\]]+,?$/;

/** A joiner for one stream. */
export function javaTrace(): LineJoiner {
  let depth = 0;
  return {
    begin() {
      depth = 0;
    },
    joins(line) {
      const code = line.charCodeAt(0);
      const isIndented = code === 32 || code === 9;
      if (depth > 0 && CLOSES_BRACE.test(line)) {
        depth--;
        return true;
      }
      if (depth === 0 && !belongs(line, code, isIndented)) return false;
      if (!isIndented && depth > 0) return false;
      if (OPENS_BRACE.test(line)) depth++;
      return true;
    },
  };
}

function belongs(line: string, code: number, isIndented: boolean): boolean {
  return isIndented ? INDENTED.test(line) : MARGIN_CODES.has(code) && AT_MARGIN.test(line);
}
