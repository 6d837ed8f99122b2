/**
 * Has garbage collected by how much work was done. The engine by itself waits until the heap has grown large for a machine, and a
 * young generation that is all garbage costs next to nothing to collect often.
 */
import { fullGC } from "bun:jsc";

export interface GarbageMeterOptions {
  /** Work after which garbage is collected, bytes. */
  readonly bytes: number;
  /** CPU time of this process, milliseconds; unlike the clock's it does not grow with what else a machine does. */
  readonly cpuMs?: () => number;
  /** @default {a full collection of the engine's heap} */
  readonly collect?: () => void;
}

/** Where much is alive a collection takes long: the next one waits for this many times as long. */
const REST = 3;

export class GarbageMeter {
  readonly #bytes: number;
  readonly #cpuMs: () => number;
  readonly #collect: () => void;
  #made = 0;
  #restsUntil = Number.NEGATIVE_INFINITY;

  constructor({ bytes, cpuMs = ownCpuMs, collect = fullGC }: GarbageMeterOptions) {
    this.#bytes = bytes;
    this.#cpuMs = cpuMs;
    this.#collect = collect;
  }

  /** So much work was done; may collect now. */
  made(bytes: number): void {
    this.#made += bytes;
    if (this.#made < this.#bytes) return;
    const begun = this.#cpuMs();
    if (begun < this.#restsUntil) return;
    this.#made = 0;
    this.#collect();
    const ended = this.#cpuMs();
    this.#restsUntil = ended + (ended - begun) * REST;
  }
}

function ownCpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
}
