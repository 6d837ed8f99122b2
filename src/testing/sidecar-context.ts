/** A sidecar's context whose signals a test pulls by hand. */
import type { Host } from "../kernel/host.ts";
import type { SidecarContext, StopReason } from "../kernel/sidecar.ts";

export interface HandheldContext<Metrics> {
  readonly context: SidecarContext<Metrics>;
  stop(reason?: StopReason): void;
  hurry(): void;
  /** No time is left; stops first where that has not happened. */
  endTime(): void;
}

export interface HandheldOptions<Metrics> {
  readonly host: Host;
  readonly metrics: Metrics;
  /** @default {"test"} */
  readonly name?: string;
  /** @default {false} */
  readonly once?: boolean;
}

/** Makes a context and the strings it hangs on. */
export function handheldContext<Metrics>(options: HandheldOptions<Metrics>): HandheldContext<Metrics> {
  const [signal, hurry, deadline] = [new AbortController(), new AbortController(), new AbortController()];
  const stop = (reason: StopReason = "shutdown") => signal.abort(reason);
  return {
    context: {
      name: options.name ?? "test",
      host: options.host,
      metrics: options.metrics,
      signal: signal.signal,
      hurry: hurry.signal,
      deadline: deadline.signal,
      once: options.once ?? false,
    },
    stop,
    hurry: () => hurry.abort(),
    endTime() {
      stop();
      deadline.abort();
    },
  };
}
