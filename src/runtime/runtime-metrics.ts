/** What the runtime counts of itself and of the sidecars it plays. */
import type { Counter } from "../kernel/meter.ts";
import type { FolderWatches } from "./folder-watches.ts";
import type { Logger } from "./log.ts";
import type { Metrics } from "./metrics.ts";
import { declareProcessMetrics } from "./process-metrics.ts";
import type { SidecarStatus } from "./view.ts";

export interface RuntimeCounters {
  /** Label `sidecar`. */
  readonly restarts: Counter;
  /** Label `outcome`: applied, unchanged or rejected. */
  readonly reloads: Counter;
  /** Label `sidecar`, empty where nobody knows whose error it was. */
  readonly uncaught: Counter;
}

export interface Sources {
  readonly metrics: Metrics;
  readonly version: string;
  readonly logger: Logger;
  readonly watches: FolderWatches;
  readonly healths: () => readonly Pick<SidecarStatus, "name" | "health">[];
}

const STATES = ["ready", "degraded", "failing"] as const;
const OUTCOMES = ["applied", "unchanged", "rejected"] as const;

/** Declares all of them, and hands out those that count events. */
export function declareRuntimeMetrics({
  metrics,
  version,
  logger,
  watches,
  healths,
}: Sources): RuntimeCounters {
  declareProcessMetrics(metrics, version);
  const meter = metrics.forProcess();
  meter
    .gauge("pillion_sidecar_health", "1 for the state that the sidecar is in, 0 for the others.", [
      "sidecar",
      "state",
    ])
    .collect(() =>
      healths().flatMap(({ name, health }) =>
        STATES.map((state) => ({ value: state === health ? 1 : 0, labels: { sidecar: name, state } })),
      ),
    );
  meter
    .gauge("pillion_watched_folders", "Folders whose changes sidecars follow.")
    .collect(() => [{ value: watches.total }]);
  meter
    .gauge(
      "pillion_polled_folders",
      "Followed folders that the kernel has no watch for: changes are seen late.",
    )
    .collect(() => [{ value: watches.polled }]);
  metrics.readCounter(
    "pillion_log_dropped_lines_total",
    "Lines of Pillion's own log that nobody read in time.",
    () => logger.dropped,
  );
  const reloads = meter.counter("pillion_config_reloads_total", "Readings of a changed configuration file.", [
    "outcome",
  ]);
  for (const outcome of OUTCOMES) reloads.add(0, { outcome });
  return {
    reloads,
    restarts: meter.counter("pillion_sidecar_restarts_total", "Starts of a sidecar after it broke.", [
      "sidecar",
    ]),
    uncaught: meter.counter("pillion_uncaught_errors_total", "Errors that nobody waited for.", ["sidecar"]),
  };
}
