/**
 * Has garbage collected by how much work was done. The engine by itself waits until the heap has grown large for a machine, and a
 * young generation that is all garbage costs next to nothing to collect often.
 */
import { fullGC } from "bun:jsc";
import type { Clock } from "../kernel/clock.ts";

export interface GarbageMeterOptions {
  readonly clock: Pick<Clock, "monotonic">;
  /** Work after which garbage is collected, bytes. */
  readonly bytes: number;
  /** @default {a full collection of the engine's heap} */
  readonly collect?: () => void;
}

/** Where much is alive a collection takes long: the next one waits for this many times as long. */
const REST = 3;

export class GarbageMeter {
  readonly #clock: Pick<Clock, "monotonic">;
  readonly #bytes: number;
  readonly #collect: () => void;
  #made = 0;
  #restsUntil = Number.NEGATIVE_INFINITY;

  constructor({ clock, bytes, collect = collectAll }: GarbageMeterOptions) {
    this.#clock = clock;
    this.#bytes = bytes;
    this.#collect = collect;
  }

  /** So much work was done; may collect now. */
  made(bytes: number): void {
    this.#made += bytes;
    if (this.#made < this.#bytes) return;
    const begun = this.#clock.monotonic();
    if (begun < this.#restsUntil) return;
    this.#made = 0;
    this.#collect();
    const ended = this.#clock.monotonic();
    this.#restsUntil = ended + (ended - begun) * REST;
  }
}

function collectAll(): void {
  fullGC();
}
