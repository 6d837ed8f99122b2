import { expect, test } from "bun:test";
import { UsageError } from "./command.ts";
import { parseRestartPeriod } from "./restart-period.ts";

test.each([
  ["1s", 1000],
  ["10s", 10_000],
  ["1m30s", 90_000],
  ["300s", 300_000],
  ["5m", 300_000],
])("--max-restart-period %s is %d ms [R9]", (text, ms) => expect(parseRestartPeriod(text)).toBe(ms));

test.each(["", "0s", "10", "301s", "6m", "5m1s", "-1s", "1.5s", "500ms", "s", "m", "10s "])(
  "--max-restart-period %j is a usage error",
  (text) => expect(() => parseRestartPeriod(text)).toThrow(UsageError),
);
