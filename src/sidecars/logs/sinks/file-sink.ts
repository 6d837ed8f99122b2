/** Delivers to a file, for other programs on the same volume; acknowledged when the kernel, or with `fsync` the disk, has it. */
import { z } from "zod";
import { absolutePath, size } from "../../../kernel/config-types.ts";
import { messageOf, Problem } from "../../../kernel/problem.ts";
import { batchOptions, limitsOf } from "./batch-options.ts";
import { lineFormat, lineOf, linesOf } from "./line-format.ts";
import { RotatedFile } from "./rotated-file.ts";
import type { Outcome, Sink } from "./sink.ts";

export function fileSinkOptions() {
  return z
    .strictObject({
      path: absolutePath().describe("The file to append to. Folders on the way are made."),
      format: lineFormat(),
      maxSize: size()
        .pipe(z.number().min(64 * 1024, "Write at least `64Ki`"))
        .prefault("100Mi")
        .describe(
          "Size at which the file is renamed to `PATH.1` and begun anew; a single larger batch stays whole.",
        ),
      keep: z
        .int()
        .min(0)
        .max(1_000)
        .prefault(5)
        .describe("How many renamed files (`PATH.1` is the newest) stay."),
      compress: z
        .enum(["gzip", "none"])
        .prefault("none")
        .describe("`gzip` packs renamed files into `PATH.N.gz`."),
      fsync: z
        .boolean()
        .prefault(false)
        .describe("Acknowledge only when the disk has it: survives a power cut, not only a crash. Slower."),
      batch: batchOptions({ size: "1Mi", records: 10_000, wait: "1s" }),
    })
    .describe("Appends to a file, rotated by size. Acknowledged when written.");
}

export type FileSinkOptions = z.output<ReturnType<typeof fileSinkOptions>>;

export function createFileSink(name: string, options: FileSinkOptions): Sink {
  const file = new RotatedFile(options);
  /** A write that a hanging file system has not finished; the next one waits behind it. */
  let pending: Promise<unknown> = Promise.resolve();
  async function append(lines: Buffer): Promise<Outcome> {
    try {
      await file.append(lines);
      return { kind: "answered", refusals: [] };
    } catch (cause) {
      return { kind: "unavailable", because: cannotWrite(options.path, cause) };
    }
  }
  return {
    name,
    limits: limitsOf(options.batch),
    encode: lineOf(options.format),
    async send(batch, signal): Promise<Outcome> {
      const { promise: stopped, resolve } = Promise.withResolvers<Outcome>();
      const stop = (): void => resolve({ kind: "unavailable", because: hangs(options.path) });
      signal.addEventListener("abort", stop, { once: true });
      if (signal.aborted) stop();
      const written = pending.then(() => (signal.aborted ? stopped : append(Buffer.from(linesOf(batch)))));
      pending = written;
      try {
        return await Promise.race([written, stopped]);
      } finally {
        signal.removeEventListener("abort", stop);
      }
    },
    async close() {
      await pending;
      await file.close();
    },
  };
}

function hangs(path: string): Problem {
  return new Problem({
    code: "E_SINK_STUCK",
    message: `Cannot write "${path}": the file system does not answer`,
    fix: "Look at the volume behind it",
  });
}

function cannotWrite(path: string, cause: unknown): Problem {
  const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
  const isFull = code === "ENOSPC" || code === "EDQUOT";
  return new Problem({
    code: isFull ? "E_SINK_FULL" : "E_SINK_FILE",
    message: `Cannot write "${path}": ${isFull ? "the disk is full" : messageOf(cause)}`,
    fix: isFull
      ? "Make room on the volume, or lower `maxSize` and `keep`"
      : "Give a path in a folder that this user may write to",
    cause,
  });
}
