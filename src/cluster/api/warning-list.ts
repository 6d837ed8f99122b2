/** Collects the warnings of one answer, within what HTTP headers can carry (apiserver's `warning` filter). */

const MAX_TOTAL = 4 * 1024;
const MAX_EACH_WHEN_MANY = 256;

export class WarningList {
  readonly #texts = new Set<string>();
  #total = 0;

  add(text: string): void {
    if (this.#texts.has(text) || this.#total > MAX_TOTAL) return;
    this.#total += text.length;
    this.#texts.add(text);
  }

  /** Shortened when all together are too long; the rest is dropped. */
  texts(): string[] {
    if (this.#total <= MAX_TOTAL) return [...this.#texts];
    const kept: string[] = [];
    let room = MAX_TOTAL;
    for (const text of this.#texts) {
      const short = text.slice(0, MAX_EACH_WHEN_MANY);
      room -= short.length;
      if (room < 0) break;
      kept.push(short);
    }
    return kept;
  }
}
