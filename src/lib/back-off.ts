/** How long to wait before trying again, so that many who fail together do not come back together. */

export interface BackOff {
  /** The first wait's upper bound. It doubles with every further try. */
  readonly firstMs: number;
  readonly longestMs: number;
}

/**
 * Full jitter: anything between 0 and the bound of this try (0 for the first). `random` gives numbers from 0 to below 1.
 * Source: "Exponential Backoff And Jitter", AWS Architecture Blog.
 */
export function backOffMs(tries: number, { firstMs, longestMs }: BackOff, random: () => number): number {
  return Math.floor(random() * Math.min(longestMs, firstMs * 2 ** tries));
}
