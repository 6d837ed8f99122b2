/** Label selectors, as text (`app=x,tier in (a,b)`) and as objects, compiled into one predicate (apimachinery `labels`). */
import type { LabelSelector as LabelSelectorObject } from "../../generated/kubernetes.ts";
import { goQuote } from "./go-format.ts";
import {
  formatRequirement,
  fulfils,
  type LabelOperator,
  labelRequirement,
  type LabelRequirement,
  type Labels,
  SelectorError,
  validateLabelKey,
} from "./label-requirement.ts";

export interface LabelSelector {
  /** Sorted by key. */
  readonly requirements: readonly LabelRequirement[];
  /** False for the selector of an absent LabelSelector object, which selects nothing. */
  readonly selectable: boolean;
  readonly matches: (labels: Labels | undefined) => boolean;
}

interface Token {
  readonly kind: "end" | "error" | "identifier" | "symbol";
  readonly text: string;
}

const SYMBOLS = [")", ",", "!", "==", "=", ">", "<", "!=", "("] as const;
const BINARY_OPERATORS = ["in", "notin", "=", "==", "!=", "gt", "lt"] as const;
const OPERATOR_OF: Readonly<Record<string, LabelOperator>> = {
  in: "in",
  notin: "notin",
  "=": "=",
  "==": "==",
  "!=": "!=",
  ">": "gt",
  "<": "lt",
};

function tokenize(text: string): Token[] {
  const tokens: Token[] = [];
  for (const [piece] of text.matchAll(/[=!()><,]+|[^=!()><,\s]+/g)) {
    if (/^[=!()><,]/.test(piece)) tokens.push(...splitSymbols(piece));
    else tokens.push({ kind: "identifier", text: piece });
  }
  return tokens;
}

/** The longest known symbol first; a run such as `=!` that holds an unknown pair is cut where the known one ends. */
function splitSymbols(run: string): Token[] {
  const tokens: Token[] = [];
  for (let at = 0; at < run.length;) {
    const two = run.slice(at, at + 2);
    const text = SYMBOLS.some((symbol) => symbol === two) ? two : run.slice(at, at + 1);
    tokens.push({ kind: "symbol", text });
    at += text.length;
  }
  return tokens;
}

/** Recursive descent over the grammar of `labels.Parse`. */
class Parser {
  readonly #tokens: readonly Token[];
  #at = 0;

  constructor(text: string) {
    this.#tokens = tokenize(text);
  }

  get next(): Token {
    return this.#tokens[this.#at] ?? { kind: "end", text: "" };
  }

  take(): Token {
    const token = this.next;
    this.#at += 1;
    return token;
  }

  isSymbol(...texts: string[]): boolean {
    return this.next.kind === "symbol" && texts.includes(this.next.text);
  }
}

function parseList(parser: Parser): string[] {
  const values = new Set<string>();
  const open = parser.take();
  if (open.kind !== "symbol" || open.text !== "(")
    throw new SelectorError(`found '${open.text}' expected: '('`);
  if (parser.next.kind !== "identifier" && !parser.isSymbol(",", ")")) {
    throw new SelectorError(`found '${parser.next.text}', expected: ',', ')' or identifier`);
  }
  for (;;) {
    const value = parser.next.kind === "identifier" ? parser.take().text : "";
    values.add(value);
    const { text } = parser.next;
    if (parser.isSymbol(")")) {
      parser.take();
      return [...values].sort();
    }
    if (!parser.isSymbol(",")) throw new SelectorError(`found '${text}', expected: ',' or ')'`);
    parser.take();
    if (parser.next.kind !== "identifier" && !parser.isSymbol(",", ")")) {
      throw new SelectorError(`found '${parser.next.text}', expected: ',', or identifier`);
    }
  }
}

function parseExact(parser: Parser): string[] {
  if (parser.next.kind === "end" || parser.isSymbol(",")) return [""];
  const { kind, text } = parser.take();
  if (kind !== "identifier") throw new SelectorError(`found '${text}', expected: identifier`);
  return [text];
}

function parseRequirement(parser: Parser): LabelRequirement {
  const negated = parser.isSymbol("!");
  if (negated) parser.take();
  const { kind, text: key } = parser.take();
  if (kind !== "identifier") throw new SelectorError(`found '${key}', expected: identifier`);
  validateLabelKey(key, "<nil>");
  if (negated) return labelRequirement({ key, operator: "!", values: [] });
  if (parser.next.kind === "end" || parser.isSymbol(","))
    return labelRequirement({ key, operator: "exists", values: [] });
  const operatorText = parser.take().text;
  const operator = Object.hasOwn(OPERATOR_OF, operatorText) ? OPERATOR_OF[operatorText] : undefined;
  if (operator === undefined) {
    throw new SelectorError(`found '${operatorText}', expected: ${BINARY_OPERATORS.join(", ")}`);
  }
  const values = operator === "in" || operator === "notin" ? parseList(parser) : parseExact(parser);
  return labelRequirement({ key, operator, values });
}

function parseRequirements(text: string): LabelRequirement[] {
  const parser = new Parser(text);
  const requirements: LabelRequirement[] = [];
  if (parser.next.kind === "end") return requirements;
  if (parser.next.kind !== "identifier" && !parser.isSymbol("!")) {
    throw new SelectorError(`found '${parser.next.text}', expected: !, identifier, or 'end of string'`);
  }
  for (;;) {
    try {
      requirements.push(parseRequirement(parser));
    } catch (error) {
      if (!(error instanceof SelectorError)) throw error;
      throw new SelectorError(`unable to parse requirement: ${error.message}`);
    }
    const separator = parser.take();
    if (separator.kind === "end") return requirements;
    if (separator.text !== ",")
      throw new SelectorError(`found '${separator.text}', expected: ',' or 'end of string'`);
    if (parser.next.kind !== "identifier" && !parser.isSymbol("!")) {
      throw new SelectorError(`found '${parser.next.text}', expected: identifier after ','`);
    }
  }
}

function selectorFrom(requirements: readonly LabelRequirement[]): LabelSelector {
  const sorted = [...requirements].sort((a, b) => (a.key < b.key ? -1 : Number(a.key > b.key)));
  return {
    requirements: sorted,
    selectable: true,
    matches: (labels = {}) => sorted.every((requirement) => fulfils(labels, requirement)),
  };
}

const NOTHING: LabelSelector = { requirements: [], selectable: false, matches: () => false };

/** `labels.Parse`; empty text selects everything. Throws `SelectorError`. */
export function parseLabelSelector(text: string): LabelSelector {
  return selectorFrom(parseRequirements(text));
}

const OBJECT_OPERATORS: Readonly<Record<string, LabelOperator>> = {
  In: "in",
  NotIn: "notin",
  Exists: "exists",
  DoesNotExist: "!",
};

/** `metav1.LabelSelectorAsSelector`: absent selects nothing, empty selects everything. Throws `SelectorError`. */
export function labelSelectorOf(object: LabelSelectorObject | undefined): LabelSelector {
  if (object === undefined || object === null) return NOTHING;
  const exact = Object.entries(object.matchLabels ?? {}).map(([key, value]) =>
    labelRequirement({ key, operator: "=", values: [value] }),
  );
  const expressions = (object.matchExpressions ?? []).map(({ key, operator, values }) => {
    const known = Object.hasOwn(OBJECT_OPERATORS, operator) ? OBJECT_OPERATORS[operator] : undefined;
    if (known === undefined)
      throw new SelectorError(`${goQuote(operator)} is not a valid label selector operator`);
    return labelRequirement({ key, operator: known, values: [...new Set(values)].sort() });
  });
  return selectorFrom([...exact, ...expressions]);
}

/** `labels.SelectorFromSet`: every label exactly so; an absent or empty set selects everything. */
export function labelSelectorFromSet(labels: Labels | undefined): LabelSelector {
  const pairs = Object.entries(labels ?? {});
  return selectorFrom(pairs.map(([key, value]) => ({ key, operator: "=" as const, values: [value] })));
}

/** `a=b,c in (d,e)`; the empty string for a selector without requirements. */
export function formatLabelSelector({ requirements }: LabelSelector): string {
  return requirements.map(formatRequirement).join(",");
}
