/**
 * Types that configurations share: durations, sizes, paths, places of secrets. Values carry their unit, keys never do. Each is made
 * once: a configuration has a hundred keys, and a sidecar's start waits for its schema.
 */
import { z } from "zod";
import type { SecretSource } from "./host.ts";

const DURATION = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/;
const MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

const durationType = z
  .string('Write a number and a unit, for example "30s", "5m" or "250ms"')
  .regex(DURATION, 'Write a number and a unit, for example "30s", "5m" or "250ms"')
  .transform((text) => {
    const [, number = "", unit = ""] = DURATION.exec(text) ?? [];
    return Number(number) * (MS[unit] ?? 0);
  });

/** `"250ms"`, `"30s"`, `"2m"`, `"1h"` or `"7d"`; the value is in milliseconds. */
export function duration() {
  return durationType;
}

const SIZE = /^(\d+(?:\.\d+)?)(Ki|Mi|Gi|Ti|k|M|G|T)?$/;
const BYTES: Readonly<Record<string, number>> = {
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
};

const SIZE_WORDS = 'Write a number of bytes with a unit, for example "64Mi" or "1Gi"';
const sizeType = z
  .union([z.string().regex(SIZE, SIZE_WORDS), z.number().int(SIZE_WORDS).nonnegative(SIZE_WORDS)], SIZE_WORDS)
  .transform((text) => {
    const [, number = "", unit = ""] = SIZE.exec(String(text)) ?? [];
    return Math.floor(Number(number) * (BYTES[unit] ?? 1));
  });

/** A Kubernetes quantity of bytes, `"64Mi"`, `"1G"` or a plain number; the value is in bytes. */
export function size() {
  return sizeType;
}

const absolutePathType = z
  .string()
  .startsWith("/", 'Write a path from the root, for example "/var/log/app.log"')
  .refine((path) => !path.includes("\0"), "Write a path without NUL characters");

/** A path from the root. */
export function absolutePath() {
  return absolutePathType;
}

const secretType = z
  .union(
    [
      z.strictObject({
        file: absolutePath().describe("A file whose content is the secret; read at each use."),
      }),
      z.strictObject({ env: z.string().min(1).describe("An environment variable that holds the secret.") }),
    ],
    "Write where the secret is: `{ file: /path }` or `{ env: NAME }`",
  )
  .meta({ "x-secret": true }) satisfies z.ZodType<SecretSource>;

/** `{ file: /path }` or `{ env: NAME }`: the secret itself never stands in a configuration. */
export function secret() {
  return secretType;
}
