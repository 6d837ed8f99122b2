/** Counts what the evaluation of CEL takes, and ends it in time: a rule must not hold up everybody else (apiserver `cel` cost limits). */

/** What one evaluation may take (apiserver `celconfig.PerCallLimit`): some 100 ms. */
const MOST_PER_CALL = 1_000_000;

/** An item of a list is one, as is every step of an evaluation; text is cheaper (cel-go `StringTraversalCostFactor`). */
const PER_CHARACTER = 0.1;
/** Regular expressions look at each character more than once, and have to be compiled. */
const PER_SEARCHED_CHARACTER = 1;
const PER_SEARCH = 50;

const SEARCHES: ReadonlySet<unknown> = new Set(["matchesLinear", "find", "findAll"]);
/** Take as long for a long list as for a short one. */
const CONSTANT: ReadonlySet<unknown> = new Set(["size", "hasValue", "value", "or", "orValue", "bind"]);
/** Look at all of what they are given. */
const OPERATORS: ReadonlySet<unknown> = new Set(["==", "!=", "in", "+"]);

/** The words of cel-go, by which the real server knows it. */
export class CelCostError extends Error {
  override readonly name = "CelCostError";

  constructor() {
    super("operation cancelled: actual cost limit exceeded");
  }
}

/** Counts one evaluation at a time. */
export class CelMeter {
  #used = 0;
  readonly #over = new CelCostError();

  /** What the last evaluation took. */
  get used(): number {
    return this.#used;
  }

  spend(cost: number): void {
    this.#used += cost;
    // Always the same: macros such as `all` go on with the next item whatever is thrown.
    if (this.#used > MOST_PER_CALL) throw this.#over;
  }

  /** Throws `CelCostError`, whatever the evaluation has made of it. */
  run(evaluate: () => unknown): unknown {
    this.#used = 0;
    try {
      return evaluate();
    } finally {
      // oxlint-disable-next-line no-unsafe-finally -- the limit outweighs any result and any other error
      if (this.#used > MOST_PER_CALL) throw this.#over;
    }
  }
}

type Evaluate = (evaluator: unknown, node: unknown, context: unknown) => unknown;

/** A node of the engine's, which keeps how it is evaluated in its `meta`. */
interface EngineNode {
  readonly op: string;
  readonly args: unknown;
  readonly meta: {
    readonly evaluate: Evaluate;
    /** What a macro stands for, and is evaluated instead. */
    readonly alternate?: unknown;
    readonly macro?: object;
  };
  setMeta(key: "evaluate", value: Evaluate): void;
}

function isEngineNode(value: unknown): value is EngineNode {
  return typeof value === "object" && value !== null && "op" in value && "meta" in value;
}

/** Has everything in a checked expression counted. */
export function addMeter(root: unknown, meter: CelMeter): void {
  const seen = new Set<object>();
  const weighed = new Map<object, (value: unknown) => number>();
  const visit = (value: unknown): void => {
    if (typeof value !== "object" || value === null || seen.has(value)) return;
    seen.add(value);
    if (!isEngineNode(value)) return Object.values(value).forEach(visit);
    const { args, meta } = value;
    for (const [operand, weigh] of operandsOf(value)) if (!weighed.has(operand)) weighed.set(operand, weigh);
    [args, meta.alternate, meta.macro].forEach(visit);
  };
  visit(root);
  for (const node of seen) if (isEngineNode(node)) countNode(node, meter, weighed.get(node));
}

/** What else a node takes because of who looks at its value; a macro's value is that of what it stands for. */
function operandsOf({ op, args, meta }: EngineNode): (readonly [object, (value: unknown) => number])[] {
  const given: readonly unknown[] = Array.isArray(args) ? args.flat() : [];
  const operands = given.filter(isEngineNode);
  if (meta.alternate !== undefined || meta.macro !== undefined) return [];
  const weigh = weighing(op, given[0]);
  if (weigh === undefined) return [];
  return operands.flatMap((operand) => {
    const { alternate } = operand.meta;
    return [[isEngineNode(alternate) ? alternate : operand, weigh] as const];
  });
}

function weighing(op: string, name: unknown): ((value: unknown) => number) | undefined {
  if (OPERATORS.has(op)) return weightOf;
  if (op !== "call" && op !== "rcall") return undefined;
  if (SEARCHES.has(name)) return searchWeightOf;
  return CONSTANT.has(name) ? textWeightOf : weightOf;
}

function countNode(node: EngineNode, meter: CelMeter, weigh: ((value: unknown) => number) | undefined): void {
  const { evaluate } = node.meta;
  node.setMeta("evaluate", (evaluator, self, context) => {
    meter.spend(1);
    const value = evaluate(evaluator, self, context);
    if (weigh !== undefined) meter.spend(weigh(value));
    return value;
  });
}

function textWeightOf(value: unknown): number {
  return typeof value === "string" || value instanceof Uint8Array ? value.length * PER_CHARACTER : 0;
}

function searchWeightOf(value: unknown): number {
  return typeof value === "string" ? PER_SEARCH + value.length * PER_SEARCHED_CHARACTER : 0;
}

const weights = new WeakMap<object, number>();

/** Of a value with everything in it. */
export function weightOf(value: unknown): number {
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return textWeightOf(value);
  const known = weights.get(value);
  if (known !== undefined) return known;
  const inner: Iterable<unknown> =
    value instanceof Map || Array.isArray(value) ? value.values() : Object.values(value);
  let weight = 0;
  for (const one of inner) weight += 1 + weightOf(one);
  weights.set(value, weight);
  return weight;
}
