/**
 * A delivery on a disk that is full, for `full-disk.test.ts`: `bun full-disk.test-support.ts FOLDER`, where FOLDER is a small
 * tmpfs of its own. Prints what it saw as one line of JSON.
 */
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Problem } from "../../../kernel/problem.ts";
import {
  ACCEPTED,
  DOWN,
  elapse,
  NumberedFile,
  openWorld,
  quiet,
  ScriptedSink,
  type World,
} from "./delivery.test-support.ts";

const LIMITS = { memoryBytes: 20_000, bufferBytes: 2 ** 22, deadLetterBytes: 2 ** 22 };
const FILLER = 8 * 2 ** 20;

function codes({ delivery }: World): unknown[] {
  const troubles = [...delivery.checkpoints.troubles(), ...delivery.troubles()];
  return troubles.flatMap((trouble) => (trouble instanceof Problem ? trouble.code : []));
}

/** Takes every byte that is left. */
function fillUp(path: string): void {
  try {
    writeFileSync(path, Buffer.alloc(FILLER));
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ENOSPC")) throw error;
  }
}

/** An outage that fills the disk long before the buffer's limit. */
async function outage(folder: string): Promise<unknown> {
  const sink = new ScriptedSink(() => DOWN, { maxRecords: 100, maxBytes: 100_000 });
  const world = await openWorld({ folder: join(folder, "outage"), sinks: [sink], limits: LIMITS });
  const file = new NumberedFile("a");
  world.delivery.checkpoints.remember("a", {});
  let lots = 0;
  const stop = new AbortController();
  const reader = (async () => {
    for (; lots < 1_000 && !stop.signal.aborted; lots += 1) await world.delivery.offer(file.lot(50));
  })();
  await quiet(world);
  for (let second = 0; second < 120; second += 1) {
    world.clock.advance(1_000);
    await quiet(world);
  }
  const seen = { lots, isHeld: lots < 1_000, codes: codes(world) };
  sink.calls.length = 0;
  sink.behaviour = () => ACCEPTED;
  stop.abort();
  await elapse(world, reader);
  await elapse(world, world.delivery.drain(false));
  world.clock.advance(2_000);
  const delivered = new Set(sink.calls.flat()).size;
  const result = {
    ...seen,
    isDelivered: delivered === file.read,
    left: world.delivery.undelivered(),
    after: codes(world),
  };
  await world.delivery.stop();
  return result;
}

/** A receiver that is well, and not a byte for checkpoints and dead letters. */
async function noSpace(folder: string): Promise<unknown> {
  const state = join(folder, "no-space");
  const sink = new ScriptedSink(() => ACCEPTED, { maxRecords: 100, maxBytes: 100_000 });
  const world = await openWorld({ folder: state, sinks: [sink], limits: LIMITS });
  fillUp(join(folder, "filler"));
  const file = new NumberedFile("a");
  for (let key = 0; key < 200; key += 1)
    world.delivery.checkpoints.remember(`f${key}`, { padding: "x".repeat(100) });
  world.delivery.checkpoints.remember("a", {});
  for (let lot = 0; lot < 20; lot += 1) await world.delivery.offer(file.lot(50));
  await elapse(world, world.delivery.drain(false));
  sink.behaviour = (batch) => ({
    kind: "answered",
    refusals: batch.map((_, index) => ({ index, isRetryable: false, reason: "x".repeat(400) })),
  });
  await world.delivery.offer(file.lot(50));
  await elapse(world, world.delivery.drain(false));
  const full = {
    codes: codes(world),
    offset: world.delivery.checkpoints.get("a")?.offset,
    counts: { ...world.counts },
  };
  rmSync(join(folder, "filler"));
  world.clock.advance(2_000);
  await world.delivery.offer(file.lot(1));
  await elapse(world, world.delivery.drain(false));
  const after = codes(world);
  await world.delivery.stop();
  const next = await openWorld({ folder: state, sinks: [sink], limits: LIMITS });
  const offset = next.delivery.checkpoints.get("a")?.offset;
  await next.delivery.stop();
  return { full, after, offset };
}

if (import.meta.main) {
  const folder = process.argv[2] ?? "";
  console.log(JSON.stringify({ outage: await outage(folder), noSpace: await noSpace(folder) }));
}
