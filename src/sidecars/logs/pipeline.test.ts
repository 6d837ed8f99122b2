import { expect, test } from "bun:test";
import type { Clock } from "../../kernel/clock.ts";
import {
  ACCEPTED,
  DOWN,
  elapse,
  leftBehind,
  openWorld,
  quiet,
  ScriptedSink,
  testFolder,
  type World,
} from "./delivery/delivery.test-support.ts";
import { createFramers } from "./lines/framer.ts";
import { Pipeline } from "./pipeline.ts";
import type { Chunk, ChunkSource } from "./sources/chunk.ts";

const TIME = "2026-01-01T00:00:00.000000000Z";

/** Hands out a file's text from an offset on, in chunks of so many lines; ends without having said that the file ends. */
function sourceOf(lines: readonly string[], perChunk: number, from = 0): ChunkSource {
  const chunks: Chunk[] = [];
  let start = 0;
  for (let at = 0; at < lines.length; at += perChunk) {
    const bytes = Buffer.from(
      lines
        .slice(at, at + perChunk)
        .map((line) => `${line}\n`)
        .join(""),
    );
    const skipped = Math.min(bytes.length, Math.max(0, from - start));
    const rest = bytes.subarray(skipped);
    const origin = { key: "a", path: "/var/log/a.log" };
    if (rest.length > 0)
      chunks.push({ origin, start: start + skipped, bytes: rest, isCut: false, isLast: false });
    start += bytes.length;
  }
  return {
    next: () => Promise.resolve(chunks.shift()),
    finish: () => undefined,
    abandon: () => undefined,
    progress: () => [],
    troubles: () => [],
    close: () => undefined,
  };
}

async function play(source: ChunkSource, { delivery, clock }: World, isKilled = false): Promise<number> {
  let readBytes = 0;
  const pipeline = new Pipeline({
    source,
    delivery,
    createFramer: createFramers({ cri: true, maxLine: 65_536 }),
    parserOf: () => (message) => ({ time: undefined, fields: { message }, problem: undefined }),
    process: () => true,
    onLot: () => undefined,
    clock: clock satisfies Clock,
    metrics: {
      readBytes: { add: (bytes = 1) => void (readBytes += bytes) },
      events: () => undefined,
    },
    quietMs: 1_000,
  });
  if (isKilled) pipeline.leavePending();
  await pipeline.run();
  return readBytes;
}

/** A line of three parts on one stream, with whole lines of the other in between. */
const INTERLEAVED = [
  `${TIME} stdout P one-`,
  `${TIME} stderr F first`,
  `${TIME} stdout P two-`,
  `${TIME} stderr F second`,
  `${TIME} stdout P three-`,
  `${TIME} stdout F four`,
];
const EVENTS = ["first", "one-two-three-four", "second"];

test("lines of one stream arrive while another has an unfinished one, wherever chunks end", async () => {
  for (const perChunk of [1, 2, 3, 4, 5, 6]) {
    using folder = testFolder();
    const sink = new ScriptedSink(() => ACCEPTED);
    const world = await openWorld({ folder: folder.path, sinks: [sink] });
    const readBytes = await play(sourceOf(INTERLEAVED, perChunk), world);
    await elapse(world, world.delivery.drain(false));
    expect(sink.calls.flat().toSorted()).toEqual(EVENTS);
    expect(readBytes).toBe(INTERLEAVED.join("\n").length + 1);
    expect(world.delivery.checkpoints.get("a")?.offset).toBe(readBytes);
    await world.delivery.stop();
  }
});

test("a kill while a line is unfinished loses none of its parts", async () => {
  for (const perBatch of [1, 10]) {
    for (const perChunk of [3, 5]) {
      using folder = testFolder();
      using lives = testFolder();
      const delivered: string[] = [];
      const take = (sink: ScriptedSink) => () => {
        delivered.push(...(sink.calls.at(-1) ?? []));
        return delivered.length > 1 ? DOWN : ACCEPTED;
      };
      const sink = new ScriptedSink(() => DOWN, { maxRecords: perBatch });
      sink.behaviour = take(sink);
      const world = await openWorld({ folder: folder.path, sinks: [sink] });
      await play(sourceOf(INTERLEAVED.slice(0, 5), perChunk), world, true);
      await quiet(world);
      const next = new ScriptedSink(() => ACCEPTED);
      const after = await openWorld({ folder: leftBehind(folder.path, lives.path), sinks: [next] });
      await play(sourceOf(INTERLEAVED, 1, after.delivery.checkpoints.get("a")?.offset), after);
      await elapse(after, after.delivery.drain(false));
      expect(new Set([...delivered, ...next.calls.flat()])).toEqual(new Set(EVENTS));
      await after.delivery.stop();
      await world.delivery.stop();
    }
  }
});
