import { expect, test } from "bun:test";
import type { KubeObject } from "../../k8s/object.ts";
import { ManualClock } from "../../testing/manual-clock.ts";
import { at, openTestStore } from "../../testing/store-fixtures.ts";
import { startEventExpiry } from "./event-expiry.ts";

const MINUTE = 60_000;

function event(name: string, fields: Partial<KubeObject> = {}): KubeObject {
  return { apiVersion: "v1", kind: "Event", metadata: at(name), ...fields };
}

function setUp() {
  const clock = new ManualClock();
  const store = openTestStore({ clock });
  return { clock, store, names: () => store.list("events").items.map(({ metadata }) => metadata.name) };
}

test("Events go an hour after they were last written", () => {
  const { clock, store, names } = setUp();
  const stop = startEventExpiry({ store, clock });
  store.create("events", event("a"));
  clock.advance(30 * MINUTE);
  store.create("events", event("b"));
  clock.advance(10 * MINUTE);
  store.update("events", at("a"), (current) => ({ ...current, count: 2 }));
  clock.advance(49 * MINUTE);
  expect(names()).toEqual(["a", "b"]);
  clock.advance(MINUTE);
  expect(names()).toEqual(["a"]);
  clock.advance(10 * MINUTE);
  expect([names(), clock.pending]).toEqual([[], 0]);
  stop();
});

test("Events that are there at the start go an hour after the newest time that they name", () => {
  const { clock, store, names } = setUp();
  const time = (minutes: number) => new Date(clock.now() + minutes * MINUTE).toISOString();
  store.create("events", event("future", { lastTimestamp: time(600) }));
  store.create("events", event("created"));
  store.create("events", event("series", { eventTime: "nonsense", series: { lastObservedTime: time(20) } }));
  clock.advance(30 * MINUTE);
  const stop = startEventExpiry({ store, clock });
  clock.advance(30 * MINUTE);
  expect(names()).toEqual(["future", "series"]);
  clock.advance(20 * MINUTE);
  expect(names()).toEqual(["future"]);
  clock.advance(10 * MINUTE);
  expect(names()).toEqual([]);
  stop();
});

test("a namesake of an expired Event has its own hour, and a deleted one is forgotten", () => {
  const { clock, store, names } = setUp();
  const stop = startEventExpiry({ store, clock });
  store.create("events", event("a"));
  clock.advance(30 * MINUTE);
  store.delete("events", at("a"));
  store.create("events", event("a"));
  clock.advance(30 * MINUTE);
  expect(names()).toEqual(["a"]);
  stop();
  expect(clock.pending).toBe(0);
});
