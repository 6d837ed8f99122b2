/** What every program tells Prometheus of itself, under the names that dashboards know. */
import { readdirSync } from "node:fs";
import type { Metrics } from "./metrics.ts";

/** Declares them; they are read when somebody asks. */
export function declareProcessMetrics(metrics: Metrics, version: string): void {
  const meter = metrics.forProcess();
  const startedAt = performance.timeOrigin / 1_000;
  const gauge = (name: string, help: string, value: () => number) =>
    meter.gauge(name, help).collect(() => [{ value: value() }]);
  gauge("process_resident_memory_bytes", "Resident memory in bytes.", () => process.memoryUsage.rss());
  gauge("process_start_time_seconds", "Start of the process, Unix time in seconds.", () => startedAt);
  gauge("process_open_fds", "Open file descriptors.", () => readdirSync("/proc/self/fd").length);
  metrics.readCounter("process_cpu_seconds_total", "User and system CPU time spent in seconds.", () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1_000_000;
  });
  const build = meter.gauge(
    "pillion_build_info",
    "1, labelled with the version of Pillion and of its runtime.",
    ["version", "bun"],
  );
  build.set(1, { version, bun: Bun.version });
}
