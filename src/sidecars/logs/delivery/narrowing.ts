/**
 * How many of the next records to send after a receiver has refused a batch as a whole. A refused batch is narrowed down by
 * halves to the record at fault; then batches grow again, so that a thousand bad records in a row cost a thousand requests
 * and not a thousand searches.
 */

/** After a 413 each batch that is taken lets the next be so much larger: the receiver's limit may have changed. */
const GROWTH = 1.05;

export class Narrowing {
  /** Records per request, as long as bad ones keep coming. */
  #limit = Number.POSITIVE_INFINITY;
  /** Bytes per request, as the receiver's 413 has taught. */
  #bytes = Number.POSITIVE_INFINITY;
  /** So many of the next records are known to hold one that is refused. */
  #suspects = 0;

  /** How many of the records whose sizes are given to send now; at least one. */
  next(sizes: readonly number[]): number {
    const most = Math.min(
      sizes.length,
      this.#limit,
      this.#suspects > 1 ? Math.ceil(this.#suspects / 2) : Infinity,
    );
    if (this.#bytes === Number.POSITIVE_INFINITY) return Math.max(1, most);
    let count = 0;
    for (let bytes = 0; count < most; count += 1) {
      bytes += sizes[count] ?? 0;
      if (bytes > this.#bytes) break;
    }
    return Math.max(1, count);
  }

  /** Another batch begins: nothing is known of its records. */
  forget(): void {
    this.#suspects = 0;
  }

  accepted(count: number): void {
    this.#suspects = Math.max(0, this.#suspects - count);
    if (this.#limit !== Number.POSITIVE_INFINITY)
      this.#limit = this.#limit > 2 ** 20 ? Infinity : this.#limit * 2;
    if (this.#bytes !== Number.POSITIVE_INFINITY) this.#bytes *= GROWTH;
  }

  /** True when it is known now which record is at fault: the one that was sent alone. */
  refused(count: number): boolean {
    this.#suspects = count === 1 ? 0 : count;
    if (count === 1) this.#limit = 1;
    return count === 1;
  }

  /** True when it was one record, which the receiver will never take. */
  tooLarge(count: number, bytes: number): boolean {
    if (count > 1) this.#bytes = bytes / 2;
    return count === 1;
  }
}
