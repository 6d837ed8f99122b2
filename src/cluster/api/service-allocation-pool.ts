/** Numbers of a range that are handed out once: the Service addresses and the node ports (`ipallocator`, `portallocator`). */
import { randomInt } from "node:crypto";

/** Answers a number from 0 to `size` - 1. */
export type Pick = (size: number) => number;

export const pickAny: Pick = (size) => randomInt(size);

export interface NumberRange {
  /** The first and the last number that may be asked for. */
  readonly first: number;
  readonly last: number;
  /** Numbers from `first` on that are left to those who ask by number, as long as there are others (KEP-3070, KEP-3668). */
  readonly staticCount: number;
}

export type Refusal = "taken" | "outside";

/** What is free within one write. It forgets nothing that it has handed out. */
export class NumberPool {
  readonly #range: NumberRange;
  readonly #taken: Set<number>;
  readonly #pick: Pick;

  constructor(range: NumberRange, taken: Iterable<number>, pick: Pick = pickAny) {
    this.#range = range;
    this.#taken = new Set(taken);
    this.#pick = pick;
  }

  /** Answers why the number cannot be had; `undefined` once it is the caller's. */
  claim(wanted: number): Refusal | undefined {
    const { first, last } = this.#range;
    if (!Number.isInteger(wanted) || wanted < first || wanted > last) return "outside";
    if (this.#taken.has(wanted)) return "taken";
    this.#taken.add(wanted);
    return undefined;
  }

  /** Any free number, from the upper part first; `undefined` when all are taken. */
  claimAny(): number | undefined {
    const { first, last, staticCount } = this.#range;
    const middle = first + staticCount;
    const found = this.#findFree(middle, last) ?? this.#findFree(first, middle - 1);
    if (found !== undefined) this.#taken.add(found);
    return found;
  }

  #findFree(first: number, last: number): number | undefined {
    const size = last - first + 1;
    if (size <= 0) return undefined;
    const start = this.#pick(size);
    for (let step = 0; step < size; step++) {
      const number = first + ((start + step) % size);
      if (!this.#taken.has(number)) return number;
    }
    return undefined;
  }
}
