/** Records and counters for the tests of the stages. */
import type { Counter, Labels } from "../../../kernel/meter.ts";
import type { LogRecord } from "../record.ts";

/** Counts by the value of its only label. */
export class FakeCounter implements Counter {
  readonly counts: Record<string, number> = {};

  add(by = 1, labels: Labels = {}): void {
    const key = Object.values(labels).join();
    this.counts[key] = (this.counts[key] ?? 0) + by;
  }

  with(labels: Labels): { add(by?: number): void } {
    return { add: (by) => this.add(by, labels) };
  }
}

export function recordOf(
  text: string,
  fields: Record<string, unknown> = { message: text },
  end = 1,
): LogRecord {
  return {
    text,
    time: "2026-11-01T10:00:00Z",
    fields,
    origin: { path: "/var/log/app.log", key: "1:2:3" },
    end,
  };
}
