import { expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Problem } from "../../../kernel/problem.ts";
import type { Outcome, Refusal } from "../sinks/sink.ts";
import {
  ACCEPTED,
  type Behaviour,
  DOWN,
  elapse,
  leftBehind,
  NumberedFile,
  openWorld,
  quiet,
  ScriptedSink,
  testFolder,
  type World,
  type WorldOptions,
} from "./delivery.test-support.ts";

/** Room for about 20 records of these tests. */
const SMALL = { memoryBytes: 5_000 };

async function begin(
  options: Partial<WorldOptions> & { folder: string },
  behaviour: Behaviour = () => ACCEPTED,
  limits: Partial<ScriptedSink["limits"]> = {},
): Promise<{ world: World; sink: ScriptedSink; file: NumberedFile }> {
  const sink = new ScriptedSink(behaviour, limits);
  const world = await openWorld({ sinks: [sink], ...options });
  const file = new NumberedFile("a");
  world.delivery.checkpoints.remember("a", { inode: 1 });
  return { world, sink, file };
}

function offsetOf({ delivery }: World, key = "a"): number | undefined {
  return delivery.checkpoints.get(key)?.offset;
}

function texts(from: number, to: number, key = "a"): string[] {
  return Array.from({ length: to - from + 1 }, (_, index) => `${key}:${from + index}`);
}

function codes(troubles: readonly unknown[]): unknown[] {
  return troubles.map((trouble) => (trouble instanceof Problem ? trouble.code : trouble));
}

/** Refuses single records for good where the test says so, others for now. */
function refusing(
  isHopeless: (text: string) => boolean,
  isBusy: (text: string) => boolean = () => false,
): Behaviour {
  return (batch) => ({
    kind: "answered",
    refusals: batch.flatMap(({ text }, index): Refusal[] => {
      if (isHopeless(text)) return [{ index, isRetryable: false, reason: "no such field" }];
      return isBusy(text) ? [{ index, isRetryable: true, reason: "too many requests" }] : [];
    }),
  });
}

test("a checkpoint moves when the sink has acknowledged, and not before", async () => {
  using folder = testFolder();
  const { world, sink, file } = await begin({ folder: folder.path }, () => undefined);
  await world.delivery.offer(file.lot(3));
  await quiet(world);
  expect([sink.calls, offsetOf(world)]).toEqual([[texts(1, 3)], 0]);
  sink.answer(ACCEPTED);
  await quiet(world);
  expect(offsetOf(world)).toBe(30);
  await world.delivery.stop();
});

test("a batch waits for company until it is large, old or hurried", async () => {
  using folder = testFolder();
  const limits = { maxWaitMs: 1_000, maxRecords: 5, maxBytes: 30 };
  const { world, sink, file } = await begin({ folder: folder.path }, () => ACCEPTED, limits);
  const { delivery, clock } = world;
  await delivery.offer(file.lot(2));
  clock.advance(999);
  await quiet(world);
  expect(sink.calls).toEqual([]);
  clock.advance(1);
  await quiet(world);
  expect(sink.calls.splice(0)).toEqual([texts(1, 2)]);
  await delivery.offer(file.lot(6));
  await quiet(world);
  expect(sink.calls.splice(0)).toEqual([texts(3, 7)]);
  delivery.hurry();
  await quiet(world);
  expect(sink.calls.splice(0)).toEqual([texts(8, 8)]);
  await delivery.offer(file.lot(12));
  await quiet(world);
  expect(sink.calls.every((call) => call.join("").length <= 30)).toBe(true);
  await delivery.stop();
});

test("records that were dropped move the checkpoint without a request, in their turn", async () => {
  using folder = testFolder();
  const { world, sink, file } = await begin({ folder: folder.path }, () => undefined);
  await world.delivery.offer(file.lot(5, () => true));
  expect(offsetOf(world)).toBe(50);
  await world.delivery.offer(file.lot(5, (number) => number > 7));
  await quiet(world);
  await world.delivery.offer(file.lot(5, () => true));
  expect([sink.calls, offsetOf(world)]).toEqual([[texts(6, 7)], 50]);
  sink.answer(ACCEPTED);
  await quiet(world);
  expect(offsetOf(world)).toBe(150);
  await world.delivery.stop();
});

test("a sink that is merely slow holds the readers and puts nothing on disk", async () => {
  using folder = testFolder();
  const { world, sink, file } = await begin({ folder: folder.path, limits: SMALL }, () => undefined);
  const offered = world.delivery.offer(file.lot(30));
  let isRoom = false;
  void offered.then(() => (isRoom = true));
  for (let batch = 0; batch < 2; batch += 1) {
    await quiet(world);
    world.clock.advance(100_000);
    expect([isRoom, world.delivery.undelivered().keptBytes]).toEqual([batch === 1, 0]);
    sink.answer(ACCEPTED);
  }
  await offered;
  await world.delivery.stop();
});

test("a sink that is merely slow holds no reader when the pod ends: what it does not take goes to disk, in order", async () => {
  using folder = testFolder();
  const { world, sink, file } = await begin({ folder: folder.path, limits: SMALL }, () => undefined);
  world.delivery.hurry();
  let offered = 0;
  const reader = (async () => {
    for (; offered < 10; offered += 1) await world.delivery.offer(file.lot(30));
  })();
  await quiet(world);
  expect(offered).toBe(10);
  const { records, bytes, keptBytes } = world.delivery.undelivered();
  expect([records, keptBytes]).toEqual([300, bytes]);
  sink.behaviour = () => ACCEPTED;
  sink.answer(ACCEPTED);
  await elapse(world, Promise.all([reader, world.delivery.drain(false)]));
  expect(sink.calls.flat()).toEqual(texts(1, 300));
  await world.delivery.stop();
});

test("an outage goes to disk when the memory is full, and comes back oldest first", async () => {
  using folder = testFolder();
  const { world, sink, file } = await begin({ folder: folder.path, limits: SMALL }, () => DOWN);
  for (let lot = 0; lot < 10; lot += 1) await world.delivery.offer(file.lot(10));
  await quiet(world);
  expect(world.delivery.undelivered().records).toBe(100);
  expect(offsetOf(world)).toBeGreaterThan(700);
  expect(world.delivery.troubles()).toEqual(["connection refused"]);
  sink.calls.length = 0;
  sink.behaviour = () => ACCEPTED;
  await elapse(world, world.delivery.drain(false));
  expect(sink.calls.flat()).toEqual(texts(1, 100));
  expect([offsetOf(world), world.delivery.troubles()]).toEqual([1_000, []]);
  expect(world.delivery.undelivered()).toEqual({ records: 0, bytes: 0, keptBytes: 0 });
  await world.delivery.stop();
});

test("a buffer that is full holds the readers until the sink takes records again", async () => {
  using folder = testFolder();
  const limits = { ...SMALL, bufferBytes: 6_000 };
  const { world, sink, file } = await begin({ folder: folder.path, limits }, () => DOWN);
  let offered = 0;
  const reader = (async () => {
    for (; offered < 40; offered += 1) await world.delivery.offer(file.lot(10));
  })();
  await quiet(world);
  expect(offered).toBeLessThan(30);
  expect(codes(world.delivery.troubles())).toEqual(["connection refused", "E_BUFFER_FULL"]);
  sink.calls.length = 0;
  sink.behaviour = () => ACCEPTED;
  await elapse(world, reader);
  await elapse(world, world.delivery.drain(false));
  expect(sink.calls.flat()).toEqual(texts(1, 400));
  expect(world.delivery.troubles()).toEqual([]);
  await world.delivery.stop();
});

test("a kill while the buffer empties costs the batch that was on its way, and the next start says so", async () => {
  using folder = testFolder();
  const state = join(folder.path, "state");
  const { world, sink, file } = await begin({ folder: state, limits: SMALL }, () => DOWN);
  for (let lot = 0; lot < 10; lot += 1) await world.delivery.offer(file.lot(10));
  await quiet(world);
  sink.calls.length = 0;
  sink.behaviour = () => undefined;
  for (let batch = 0; batch < 4; batch += 1) {
    while (sink.calls.length <= batch) {
      world.clock.advance(60_000);
      await quiet(world);
    }
    if (batch < 3) sink.answer(ACCEPTED);
  }
  const before = sink.calls.flat();
  const next = await begin({ folder: leftBehind(state, folder.path), limits: SMALL });
  next.file.read = (offsetOf(next.world) ?? 0) / 10;
  await next.world.delivery.offer(next.file.lot(100 - next.file.read));
  await elapse(next.world, next.world.delivery.drain(false));
  const after = next.sink.calls.flat();
  const twice = after.filter((text) => before.includes(text));
  expect(twice).toEqual(sink.calls.at(-1) ?? []);
  expect(next.world.counts.duplicated).toBe(twice.length);
  expect([...new Set([...before, ...after])]).toEqual(texts(1, 100));
  await next.world.delivery.stop();
  await world.delivery.stop();
});

test("what is on its way is kept ahead of everything else when the pod ends", async () => {
  using folder = testFolder();
  const first = await begin({ folder: folder.path }, () => undefined);
  await first.world.delivery.offer(first.file.lot(35));
  await quiet(first.world);
  await elapse(first.world, first.world.delivery.drain(true));
  expect(first.world.delivery.undelivered()).toMatchObject({ records: 35, keptBytes: 131 });
  expect([first.sink.calls.length, offsetOf(first.world)]).toEqual([1, 350]);
  await first.world.delivery.stop();
  const second = await begin({ folder: folder.path });
  await elapse(second.world, second.world.delivery.drain(false));
  expect(second.sink.calls.flat()).toEqual(texts(1, 35));
  expect(second.world.counts.duplicated).toBe(10);
  await second.world.delivery.stop();
});

test("records refused for now go first when their time has come, and hold up nobody", async () => {
  using folder = testFolder();
  let isBusy = true;
  const busy = (text: string) => isBusy && text === "a:3";
  const { world, sink, file } = await begin(
    { folder: folder.path },
    refusing(() => false, busy),
  );
  await world.delivery.offer(file.lot(10));
  await quiet(world);
  expect([offsetOf(world), world.delivery.undelivered().records]).toEqual([100, 1]);
  await world.delivery.offer(file.lot(10));
  await quiet(world);
  expect(sink.calls.splice(0)).toEqual([texts(1, 10), texts(11, 20)]);
  isBusy = false;
  world.clock.advance(30_000);
  await quiet(world);
  expect([sink.calls, world.counts.retried]).toEqual([[["a:3"]], 1]);
  expect(world.delivery.undelivered().records).toBe(0);
  await world.delivery.stop();
});

test("records refused for now survive a kill", async () => {
  using folder = testFolder();
  const state = join(folder.path, "state");
  const { world, file } = await begin(
    { folder: state },
    refusing(
      () => false,
      (text) => text === "a:3",
    ),
  );
  await world.delivery.offer(file.lot(10));
  await quiet(world);
  const next = await begin({ folder: leftBehind(state, folder.path) });
  await elapse(next.world, next.world.delivery.drain(false));
  expect([next.sink.calls, offsetOf(next.world)]).toEqual([[["a:3"]], 100]);
  expect(next.world.counts.duplicated).toBe(0);
  await next.world.delivery.stop();
  await world.delivery.stop();
});

test("a receiver that refuses many for now is not sent more and more", async () => {
  using folder = testFolder();
  const { world, sink, file } = await begin(
    { folder: folder.path },
    refusing(
      () => false,
      () => true,
    ),
  );
  for (let lot = 0; lot < 20; lot += 1) void world.delivery.offer(file.lot(100));
  for (let second = 0; second < 60; second += 1) {
    world.clock.advance(1_000);
    await quiet(world);
  }
  expect(sink.calls.length).toBeLessThan(300);
  sink.behaviour = () => ACCEPTED;
  sink.calls.length = 0;
  await elapse(world, world.delivery.drain(false));
  expect(new Set(sink.calls.flat())).toEqual(new Set(texts(1, 2_000)));
  expect(sink.calls.flat().length).toBe(2_000);
  await world.delivery.stop();
});

test("a record that is refused for good is kept with the reason, the others are delivered", async () => {
  using folder = testFolder();
  const { world, file } = await begin(
    { folder: folder.path },
    refusing((text) => text === "a:2"),
  );
  await world.delivery.offer(file.lot(3));
  await quiet(world);
  expect(await world.delivery.deadLetters.list()).toEqual([
    {
      id: expect.any(String),
      at: "2026-01-01T00:00:00.000Z",
      sink: "http",
      reason: "no such field",
      origin: "/var/log/a.log@20",
      record: "a:2",
    },
  ]);
  expect([offsetOf(world), world.counts.deliveredRecords, world.counts.deadLettered]).toEqual([30, 2, 1]);
  await world.delivery.stop();
});

test("a batch that is too large goes in halves; a record that is too large is given up", async () => {
  using folder = testFolder();
  const { world, sink, file } = await begin({ folder: folder.path }, (batch) =>
    batch.length > 2 || batch.some(({ text }) => text === "a:5")
      ? { kind: "too-large", reason: "413" }
      : ACCEPTED,
  );
  await world.delivery.offer(file.lot(10));
  await quiet(world);
  expect(await world.delivery.deadLetters.list()).toMatchObject([{ record: "a:5", reason: "413" }]);
  expect([offsetOf(world), world.counts.deliveredRecords]).toEqual([100, 9]);
  expect(sink.calls.slice(0, 3).map((call) => call.length)).toEqual([10, 5, 2]);
  await world.delivery.stop();
});

test("a batch that is refused as a whole is narrowed down to the record at fault", async () => {
  using folder = testFolder();
  const { world, file } = await begin({ folder: folder.path }, (batch) =>
    batch.some(({ text }) => text === "a:7") ? { kind: "refused", reason: "400 bad line" } : ACCEPTED,
  );
  await world.delivery.offer(file.lot(10));
  await quiet(world);
  expect(await world.delivery.deadLetters.list()).toMatchObject([{ record: "a:7", reason: "400 bad line" }]);
  expect([offsetOf(world), world.counts.deliveredRecords]).toEqual([100, 9]);
  await world.delivery.stop();
});

test("failures back off up to half a minute, and Retry-After wins up to five minutes", async () => {
  using folder = testFolder();
  let retryAfterMs: number | undefined;
  const { world, sink, file } = await begin({ folder: folder.path, random: () => 0.999 }, () =>
    retryAfterMs === undefined ? DOWN : { ...(DOWN as Outcome & { kind: "unavailable" }), retryAfterMs },
  );
  await world.delivery.offer(file.lot(1));
  const waits: number[] = [];
  for (let call = 1; call < 12; call += 1) {
    await quiet(world);
    expect(sink.calls.length).toBe(call);
    if (call === 10) retryAfterMs = 7_000;
    if (call === 11) retryAfterMs = 86_400_000;
    let ms = 0;
    for (; sink.calls.length === call && ms < 400_000; ms += 500) {
      world.clock.advance(500);
      await quiet(world);
    }
    waits.push(ms);
  }
  expect(waits).toEqual([500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000, 30_000, 7_000]);
  await world.delivery.stop();
});

test("a sink with a bug holds up its own lane only", async () => {
  using folder = testFolder();
  const bad = new ScriptedSink(() => Promise.reject(new TypeError("undefined is not a function")), {}, "bad");
  const worse = new ScriptedSink(
    () => {
      throw new RangeError("at once");
    },
    {},
    "worse",
  );
  const hanging = new ScriptedSink(() => undefined, {}, "hanging");
  const good = new ScriptedSink(() => ACCEPTED, {}, "good");
  const world = await openWorld({ folder: folder.path, sinks: [bad, worse, hanging, good] });
  const file = new NumberedFile("a");
  world.delivery.checkpoints.remember("a", {});
  for (let lot = 0; lot < 3; lot += 1) await world.delivery.offer(file.lot(10));
  await quiet(world);
  expect(good.calls.flat()).toEqual(texts(1, 30));
  expect([...world.delivery.lanes()].map((lane) => lane.offsetOf("a"))).toEqual([0, 0, 0, 300]);
  expect(world.delivery.troubles().map(String)).toEqual([
    "TypeError: undefined is not a function",
    "RangeError: at once",
  ]);
  const stopped = world.delivery.stop();
  await quiet(world);
  world.clock.advance(250);
  await stopped;
  expect([bad, worse, hanging, good].map(({ isClosed }) => isClosed)).toEqual([true, true, true, true]);
});

test("a record that its sink cannot encode becomes a dead letter, the others are delivered", async () => {
  using folder = testFolder();
  const { world, sink, file } = await begin({ folder: folder.path });
  const encode = sink.encode.bind(sink);
  sink.encode = (record) => {
    if (record.text === "a:2") throw new TypeError("circular");
    return encode(record);
  };
  await world.delivery.offer(file.lot(3));
  await quiet(world);
  expect([sink.calls, offsetOf(world)]).toEqual([[["a:1", "a:3"]], 30]);
  expect(await world.delivery.deadLetters.list()).toMatchObject([
    { record: "a:2", reason: expect.stringContaining("Cannot encode") },
  ]);
  await world.delivery.stop();
});

test("each sink skips what it has when reading begins at the one that is behind", async () => {
  using folder = testFolder();
  const names = ["slow", "fast"];
  const lives = [0, 1].map(() => names.map((name) => new ScriptedSink(() => ACCEPTED, {}, name)));
  const [[slow, fast] = [], again = []] = lives;
  if (slow !== undefined) slow.behaviour = () => DOWN;
  const world = await openWorld({ folder: folder.path, sinks: lives[0] ?? [] });
  const file = new NumberedFile("a");
  world.delivery.checkpoints.remember("a", {});
  await world.delivery.offer(file.lot(25));
  await quiet(world);
  await world.delivery.stop();
  expect(fast?.calls.flat()).toEqual(texts(1, 25));
  const next = await openWorld({ folder: folder.path, sinks: again });
  expect(offsetOf(next)).toBe(0);
  await next.delivery.offer(new NumberedFile("a").lot(30));
  await quiet(next);
  expect(again.map(({ calls }) => calls.flat())).toEqual([texts(1, 30), texts(26, 30)]);
  await next.delivery.stop();
});

test("a sink that is new takes part from where a file stands; one that is gone leaves its buffer, which is told", async () => {
  using folder = testFolder();
  const first = await begin({ folder: folder.path }, () => DOWN);
  await first.world.delivery.offer(first.file.lot(10));
  await elapse(first.world, first.world.delivery.drain(true));
  await first.world.delivery.stop();
  const sink = new ScriptedSink(() => ACCEPTED, {}, "loki");
  const second = await openWorld({ folder: folder.path, sinks: [sink] });
  expect([offsetOf(second), codes(second.delivery.troubles())]).toEqual([100, ["E_BUFFER_ORPHANED"]]);
  await second.delivery.offer(first.file.lot(5));
  await quiet(second);
  expect(sink.calls.flat()).toEqual(texts(11, 15));
  await second.delivery.stop();
  const third = await begin({ folder: folder.path });
  await elapse(third.world, third.world.delivery.drain(false));
  expect(third.sink.calls.flat()).toEqual(texts(1, 10));
  await third.world.delivery.stop();
});

test("a file that was emptied begins again at 0; what came before it moves nothing", async () => {
  using folder = testFolder();
  const { world, sink, file } = await begin({ folder: folder.path }, () => undefined);
  await world.delivery.offer(file.lot(5));
  await quiet(world);
  world.delivery.checkpoints.reset("a", { inode: 1 });
  await world.delivery.offer(file.lot(2));
  sink.answer(ACCEPTED);
  await quiet(world);
  sink.answer(ACCEPTED);
  await quiet(world);
  expect([sink.calls, offsetOf(world)]).toEqual([[texts(1, 5), texts(6, 7)], 0]);
  await world.delivery.offer(new NumberedFile("a").lot(1));
  await quiet(world);
  sink.answer(ACCEPTED);
  await quiet(world);
  expect(offsetOf(world)).toBe(10);
  await world.delivery.stop();
  const next = await begin({ folder: folder.path });
  expect(offsetOf(next.world)).toBe(10);
  await next.world.delivery.stop();
});

test("dead letters are sent again when somebody asks, and come back when they are refused again", async () => {
  using folder = testFolder();
  const { world, sink, file } = await begin(
    { folder: folder.path },
    refusing((text) => /[258]/.test(text)),
  );
  const { deadLetters } = world.delivery;
  await world.delivery.offer(file.lot(9));
  await quiet(world);
  const letters = await deadLetters.list();
  expect(letters.map(({ record }) => record)).toEqual(["a:2", "a:5", "a:8"]);
  sink.calls.length = 0;
  sink.behaviour = refusing((text) => text === "a:8");
  expect(await deadLetters.replay([letters[1]?.id ?? "", "unknown"])).toBe(1);
  await quiet(world);
  expect(sink.calls.splice(0)).toEqual([["a:5"]]);
  expect(await deadLetters.replay("all")).toBe(2);
  await quiet(world);
  expect(sink.calls.splice(0)).toEqual([["a:2", "a:8"]]);
  const left = await deadLetters.list();
  expect(left).toMatchObject([{ record: "a:8", origin: "/var/log/a.log@80" }]);
  expect(left[0]?.id).not.toBe(letters[2]?.id);
  expect([world.counts.replayed, world.counts.deadLettered]).toEqual([3, 4]);
  await world.delivery.stop();
});

test("dead letters of a sink that is gone stay where they are", async () => {
  using folder = testFolder();
  const first = await begin(
    { folder: folder.path },
    refusing(() => true),
  );
  await first.world.delivery.offer(first.file.lot(2));
  await quiet(first.world);
  await first.world.delivery.stop();
  const second = await openWorld({
    folder: folder.path,
    sinks: [new ScriptedSink(() => ACCEPTED, {}, "loki")],
  });
  expect(await second.delivery.deadLetters.replay("all")).toBe(0);
  expect((await second.delivery.deadLetters.list()).length).toBe(2);
  await second.delivery.stop();
});

test("dead letters that there is no room for are counted, never silent", async () => {
  using folder = testFolder();
  const limits = { deadLetterBytes: 700 };
  const { world, file, sink } = await begin(
    { folder: folder.path, limits },
    refusing(() => true),
  );
  await world.delivery.offer(file.lot(10));
  await quiet(world);
  const kept = (await world.delivery.deadLetters.list()).length;
  expect(kept).toBeGreaterThan(0);
  expect([world.counts.deadLettered, world.counts.deadLettersDropped]).toEqual([kept, 10 - kept]);
  expect(codes(world.delivery.troubles())).toEqual(["E_DEAD_LETTERS_FULL"]);
  sink.behaviour = () => ACCEPTED;
  await world.delivery.deadLetters.replay("all");
  expect(world.delivery.troubles()).toEqual([]);
  await world.delivery.stop();
});

test("two deliveries cannot share a folder, and a stop gives it free", async () => {
  using folder = testFolder();
  const { world } = await begin({ folder: folder.path });
  expect(await begin({ folder: folder.path }).catch((error: Problem) => error.code)).toBe("E_FOLDER_IN_USE");
  await world.delivery.stop();
  const { world: next } = await begin({ folder: folder.path });
  await next.delivery.stop();
});

test("a stop leaves no timer, closes the sinks, and ends whoever waits", async () => {
  using folder = testFolder();
  const { world, sink, file } = await begin({ folder: folder.path, limits: SMALL }, () => undefined);
  const waiting = [world.delivery.offer(file.lot(40)), world.delivery.drain(false)];
  await quiet(world);
  const stopped = world.delivery.stop();
  await quiet(world);
  world.clock.advance(250);
  await stopped;
  await Promise.all(waiting);
  expect([sink.isClosed, world.clock.pending, world.delivery.isBusy]).toEqual([true, 0, false]);
  expect(world.delivery.undelivered().records).toBe(40);
  await world.delivery.offer(file.lot(1));
  await world.delivery.drain(true);
});

test("a clock that goes back changes nothing", async () => {
  using folder = testFolder();
  const { world, sink, file } = await begin({ folder: folder.path }, () => ACCEPTED, { maxWaitMs: 1_000 });
  await world.delivery.offer(file.lot(1));
  await quiet(world);
  world.clock.jump(-86_400_000);
  world.clock.advance(1_000);
  await quiet(world);
  expect([sink.calls.length, offsetOf(world)]).toEqual([1, 10]);
  await world.delivery.stop();
});

test("10,000 files take a few lines of the journal, and are all there at the next start", async () => {
  using folder = testFolder();
  const { world } = await begin({ folder: folder.path });
  for (let number = 0; number < 10_000; number += 1)
    world.delivery.checkpoints.remember(`f${number}`, { number }, number);
  await quiet(world);
  const lines = await Bun.file(join(folder.path, "checkpoints")).text();
  expect(lines.split("\n").length).toBeLessThan(100);
  await world.delivery.stop();
  const { world: next } = await begin({ folder: folder.path });
  const all = [...next.delivery.checkpoints.all()];
  expect([all.length, next.delivery.checkpoints.get("f77")]).toEqual([
    10_001,
    { key: "f77", offset: 77, identity: { number: 77 } },
  ]);
  for (let number = 0; number < 10_000; number += 1) next.delivery.checkpoints.forget(`f${number}`);
  await next.delivery.stop();
  const { world: last } = await begin({ folder: folder.path });
  expect([...last.delivery.checkpoints.all()].length).toBe(1);
  await last.delivery.stop();
});

test("the journal stays small however many batches there are", async () => {
  using folder = testFolder();
  const { world, file } = await begin({ folder: folder.path });
  for (let lot = 0; lot < 30_000; lot += 1) await world.delivery.offer(file.lot(1, () => true));
  expect(Bun.file(join(folder.path, "checkpoints")).size).toBeLessThan(1.2 * 2 ** 20);
  await world.delivery.stop();
  const { world: next } = await begin({ folder: folder.path });
  expect(offsetOf(next)).toBe(300_000);
  await next.delivery.stop();
});

test("a buffer gives its files back as they are delivered", async () => {
  using folder = testFolder();
  const { world, sink, file } = await begin({ folder: folder.path, limits: SMALL }, () => DOWN);
  for (let lot = 0; lot < 100; lot += 1) await world.delivery.offer(file.lot(10));
  await quiet(world);
  const buffer = join(folder.path, "buffers", "http", "buffer");
  expect(readdirSync(buffer).length).toBeGreaterThan(0);
  sink.behaviour = () => ACCEPTED;
  await elapse(world, world.delivery.drain(false));
  expect([existsSync(buffer), readdirSync(buffer)]).toEqual([true, []]);
  await world.delivery.stop();
});

test("a batch as large as the memory makes way in an outage, too", async () => {
  using folder = testFolder();
  const { world, sink, file } = await begin({ folder: folder.path, limits: SMALL }, () => DOWN, {
    maxRecords: 100,
  });
  const offers = [world.delivery.offer(file.lot(15)), world.delivery.offer(file.lot(15))];
  await quiet(world);
  world.clock.advance(1_000);
  await quiet(world);
  await Promise.all(offers);
  expect(world.delivery.undelivered().records).toBe(30);
  expect(offsetOf(world)).toBe(300);
  sink.behaviour = () => ACCEPTED;
  await elapse(world, world.delivery.drain(false));
  await world.delivery.stop();
});

test("damaged checkpoints and buffers cost duplicates or counted records, never the others", async () => {
  using folder = testFolder();
  const first = await begin({ folder: folder.path, limits: SMALL }, () => DOWN);
  for (let lot = 0; lot < 10; lot += 1) await first.world.delivery.offer(first.file.lot(10));
  await elapse(first.world, first.world.delivery.drain(true));
  await first.world.delivery.stop();
  const buffer = join(folder.path, "buffers", "http", "buffer");
  const [segment = ""] = readdirSync(buffer);
  const bytes = readFileSync(join(buffer, segment));
  bytes[100] = (bytes[100] ?? 0) ^ 1;
  writeFileSync(join(buffer, segment), bytes);
  writeFileSync(join(folder.path, "checkpoints"), "garbage\n");
  writeFileSync(join(folder.path, "dead-letters", "records.jsonl"), "garbage\n{");
  const next = await begin({ folder: folder.path });
  expect(offsetOf(next.world)).toBe(0);
  await elapse(next.world, next.world.delivery.drain(false));
  expect(codes(next.world.delivery.checkpoints.troubles())).toEqual(["E_CHECKPOINTS_DAMAGED"]);
  expect(codes(next.world.delivery.troubles())).toEqual(["E_BUFFER_DAMAGED"]);
  expect(await next.world.delivery.deadLetters.list()).toEqual([]);
  const delivered = next.sink.calls.flat();
  expect([delivered.length + next.world.counts.damaged, new Set(delivered).size]).toEqual([
    100,
    delivered.length,
  ]);
  expect(next.world.counts.damaged).toBeGreaterThan(0);
  expect(readdirSync(buffer)).toEqual([`${segment}.damaged-1`]);
  await next.world.delivery.stop();
  const last = await begin({ folder: folder.path });
  expect([...last.world.delivery.checkpoints.troubles(), ...last.world.delivery.troubles()]).toEqual([]);
  await last.world.delivery.stop();
});

test("a state folder that disappears costs what was in it, and delivery goes on", async () => {
  using folder = testFolder();
  const state = join(folder.path, "state");
  const { world, sink, file } = await begin({ folder: state, limits: SMALL }, () => DOWN);
  for (let lot = 0; lot < 3; lot += 1) await world.delivery.offer(file.lot(10));
  await quiet(world);
  rmSync(state, { recursive: true });
  for (let lot = 0; lot < 3; lot += 1) void world.delivery.offer(file.lot(10));
  await quiet(world);
  sink.behaviour = () => ACCEPTED;
  await elapse(world, world.delivery.drain(false));
  expect(new Set(sink.calls.flat())).toContain("a:60");
  await world.delivery.stop();
});

test("dropped records behind an outage move the checkpoint without the sink", async () => {
  using folder = testFolder();
  const { world, sink, file } = await begin({ folder: folder.path, limits: SMALL }, () => DOWN);
  for (let lot = 0; lot < 4; lot += 1) await world.delivery.offer(file.lot(10));
  await elapse(world, world.delivery.drain(true));
  await world.delivery.offer(file.lot(10, () => true));
  await quiet(world);
  expect([offsetOf(world), sink.calls.length > 0]).toEqual([500, true]);
  await world.delivery.stop();
});
