/** Long work in slices: thousands of files are looked at without holding up the process. */

/** Waits for the event loop's next turn. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Counts what was done, and gives the others their turn after each slice. */
export class Pause {
  readonly #slice: number;
  #done = 0;

  /** How much may be done in one go. */
  constructor(slice: number) {
    this.#slice = slice;
  }

  /** True: it is time for `nextTurn`. */
  isDue(done: number): boolean {
    this.#done += done;
    if (this.#done < this.#slice) return false;
    this.#done = 0;
    return true;
  }
}
