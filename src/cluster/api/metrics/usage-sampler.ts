/** Turns what containers have used since their start into rates, measuring only while somebody asks. */
import type { Clock } from "../../../kernel/clock.ts";
import { sleep } from "../../../lib/sleep.ts";
import type { KubeletPort, ResourceUse } from "../../kubelet/port.ts";

export interface Rate {
  /** Billionths of a CPU. */
  readonly cpuNanocores: number;
  /** Bytes. */
  readonly memoryBytes: number;
}

export interface Measured {
  /** Unix milliseconds. */
  readonly at: number;
  /** Milliseconds that the rates are over. */
  readonly window: number;
  readonly node: Rate;
  /** Those of which every running container has been measured: a part of a pod looks like all of it (metrics-server). */
  readonly pods: readonly PodRate[];
}

export interface PodRate {
  readonly namespace: string;
  readonly name: string;
  readonly containers: readonly ({ readonly name: string } & Rate)[];
}

/** Shorter windows show the scheduler's ticks rather than the program. */
const MIN_WINDOW_MS = 250;
/** An average over longer is not what "now" means; metrics-server's own window is 15 s. */
const MAX_WINDOW_MS = 30_000;

type Sample = ReturnType<KubeletPort["usage"]> & { readonly elapsed: number };

/** Those who ask at the same time get the same answer. Between questions nothing runs; the last sample is kept. */
export function usageSampler(kubelet: Pick<KubeletPort, "usage">, clock: Clock): () => Promise<Measured> {
  let earlier: Sample | undefined;
  let pending: Promise<Measured> | undefined;
  const take = (): Sample => ({ ...kubelet.usage(), elapsed: clock.monotonic() });
  const measure = async (): Promise<Measured> => {
    const isFresh = earlier !== undefined && clock.monotonic() - earlier.elapsed <= MAX_WINDOW_MS;
    const from = isFresh && earlier !== undefined ? earlier : take();
    const missing = MIN_WINDOW_MS - (clock.monotonic() - from.elapsed);
    if (missing > 0) await sleep(missing, clock);
    const to = take();
    earlier = to;
    return ratesBetween(from, to, clock.now());
  };
  return async () => {
    pending ??= measure().finally(() => {
      pending = undefined;
    });
    return await pending;
  };
}

function ratesBetween(from: Sample, to: Sample, now: number): Measured {
  const before = new Map(
    from.pods.flatMap(({ namespace, name, containers }) =>
      containers.map((container) => [`${namespace}/${name}/${container.name}`, container] as const),
    ),
  );
  return {
    at: now,
    window: Math.round(to.elapsed - from.elapsed),
    node: rate(from.node, to.node),
    pods: to.pods.flatMap(({ namespace, name, containers }) => {
      const rates = containers.flatMap((container) => {
        const first = before.get(`${namespace}/${name}/${container.name}`);
        // What has just started has no rate yet, and what has no memory is about to start or to end.
        if (first === undefined || container.memoryBytes === 0) return [];
        return [{ name: container.name, ...rate(first, container) }];
      });
      return rates.length < containers.length ? [] : [{ namespace, name, containers: rates }];
    }),
  };
}

/** A container that was started again meanwhile has used less than before: all of it is new. */
function rate(from: ResourceUse, to: ResourceUse): Rate {
  const used = to.cpuNanoseconds - from.cpuNanoseconds;
  const seconds = (to.measuredAt - from.measuredAt) / 1000;
  const since = used >= 0 ? used : to.cpuNanoseconds;
  return {
    cpuNanocores: seconds > 0 ? Math.round(since / seconds) : 0,
    memoryBytes: to.memoryBytes,
  };
}
