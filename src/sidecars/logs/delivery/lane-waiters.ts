/** Those who wait for a lane: readers for room, the end of the sidecar for everything to be out or on disk. */

interface Drainer {
  readonly keep: boolean;
  readonly resolve: () => void;
}

export class LaneWaiters {
  #drainers: Drainer[] = [];
  #room: { readonly promise: Promise<void>; readonly resolve: () => void } | undefined;

  room(): Promise<void> {
    this.#room ??= Promise.withResolvers<void>();
    return this.#room.promise;
  }

  giveRoom(): void {
    this.#room?.resolve();
    this.#room = undefined;
  }

  /** `keep`: it is enough when nothing is left in memory. */
  drained(keep: boolean): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#drainers.push({ keep, resolve });
    return promise;
  }

  /** Nothing is left in memory, or nothing more can be done about it. */
  kept(): void {
    for (const { resolve } of this.#drainers.filter(({ keep }) => keep)) resolve();
    this.#drainers = this.#drainers.filter(({ keep }) => !keep);
  }

  /** Nothing is left, or the lane has stopped. */
  done(): void {
    for (const { resolve } of this.#drainers.splice(0)) resolve();
  }
}
