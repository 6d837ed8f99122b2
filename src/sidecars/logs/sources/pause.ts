/** Long work in slices: thousands of files are looked at without holding up the process. */

/** Waits for the event loop's next turn. */
function nextTurn(): Promise<void> {
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

  add(done: number): void {
    this.#done += done;
  }

  /** Resolves at once, or with the next turn when a slice has been done. */
  async take(): Promise<void> {
    if (this.#done < this.#slice) return;
    this.#done = 0;
    await nextTurn();
  }
}
