/** Patterns of users, matched in time linear in the text whatever the pattern: no look-around, no back-references. */
import type * as Re2 from "re2js";
import { z } from "zod";
import { messageOf } from "../kernel/problem.ts";

/** Matches after which a search asks whether it may go on. */
export const MATCHES_PER_LOOK = 16;

/** A pattern that the engine does not take; the message is its words. */
export class PatternError extends Error {
  constructor(message: string, cause: unknown) {
    super(message, { cause });
    this.name = "PatternError";
  }
}

export interface LinearRegex {
  readonly source: string;
  /** Names of the named groups, in their order. */
  readonly names: readonly string[];
  test(text: string): boolean;
  /** What the named groups hold in the first match, in the order of `names`; undefined where nothing matches. */
  groups(text: string): readonly (string | undefined)[] | undefined;
  /**
   * Start and end of each match that is not empty, one behind the other, in UTF-16 units. One search is linear, but a
   * pattern can make each of many matches look to the end of the text: when `mayGoOn` says no, the last span reaches there.
   */
  spans(text: string, mayGoOn: () => boolean): readonly number[];
}

/** Compiles RE2 syntax. Throws `PatternError`. */
export function compileLinear(source: string): LinearRegex {
  const compiled = compile(source);
  const groups = Object.entries(compiled.namedGroups()).toSorted(([, a], [, b]) => a - b);
  const indexes = groups.map(([, index]) => index);
  return {
    source,
    names: groups.map(([name]) => name),
    test: (text) => compiled.test(text),
    groups: (text) => {
      const matcher = compiled.matcher(text);
      return matcher.find() ? indexes.map((index) => matcher.group(index) ?? undefined) : undefined;
    },
    spans: (text, mayGoOn) => (compiled.test(text) ? findSpans(compiled, text, mayGoOn) : []),
  };
}

function compile(source: string): Re2.RE2JS {
  // Loaded on first use: 15 ms that configurations without patterns do not pay.
  const { RE2JS: engine } = require("re2js") as typeof Re2;
  try {
    return engine.compile(source);
  } catch (error) {
    throw new PatternError(messageOf(error).replace(/^error parsing regexp: /, ""), error);
  }
}

function findSpans(compiled: Re2.RE2JS, text: string, mayGoOn: () => boolean): number[] {
  const matcher = compiled.matcher(text);
  const spans: number[] = [];
  for (let found = 1; matcher.find(); found++) {
    if (matcher.end() > matcher.start()) spans.push(matcher.start(), matcher.end());
    if (found % MATCHES_PER_LOOK === 0 && !mayGoOn()) {
      spans.push(matcher.end(), text.length);
      break;
    }
  }
  return spans;
}

/** A pattern in a configuration; what is wrong with it is told at its place. The value stays text. */
export function pattern() {
  return z.string().superRefine((source, context) => {
    try {
      compile(source);
    } catch (error) {
      if (!(error instanceof PatternError)) throw error;
      context.addIssue({
        code: "custom",
        message: `Write a regular expression in RE2 syntax, without look-around and back-references: ${error.message}`,
      });
    }
  });
}
