/** `--max-restart-period`: how long a crashing container waits at most between its restarts (KEP-5593). */
import { UsageError } from "./command.ts";

/** Milliseconds; what the kubelet's `crashLoopBackOff.maxContainerRestartPeriod` allows. */
const LEAST = 1000;
const MOST = 300_000;

/** Milliseconds of `10s`, `1m30s` or `5m`. Throws `UsageError` unless it is 1 second to 5 minutes. */
export function parseRestartPeriod(text: string): number {
  const [, minutes = "0", seconds = "0"] = /^(?=\d)(?:(\d+)m)?(?:(\d+)s)?$/.exec(text) ?? [];
  const ms = (Number(minutes) * 60 + Number(seconds)) * 1000;
  if (ms >= LEAST && ms <= MOST) return ms;
  throw new UsageError({
    code: "E_USAGE",
    message: `Cannot restart containers at least every "${text}": the period is 1s to 300s`,
    fix: "Use a duration such as `10s` or `1m30s`, or leave `--max-restart-period` out for 300s",
  });
}
