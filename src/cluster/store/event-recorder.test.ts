import { beforeEach, describe, expect, test } from "bun:test";
import type { Event } from "../../../generated/kubernetes.ts";
import type { KubeObject } from "../../k8s/object.ts";
import { ManualClock } from "../../testing/manual-clock.ts";
import { openTestStore } from "../../testing/store-fixtures.ts";
import type { Store } from "../store/store.ts";
import { createEventRecorder, type EventRecorder } from "./event-recorder.ts";

let clock = new ManualClock();
let store: Store;
let recorder: EventRecorder;

beforeEach(() => {
  clock = new ManualClock();
  store = openTestStore({ clock });
  recorder = createEventRecorder({ store, clock, component: "kubelet", host: "node-1" });
});

const about = { kind: "Pod", namespace: "default", name: "p", uid: "u", fieldPath: "spec.containers{app}" };

function record(message = "m", part: Partial<typeof about> = {}): void {
  recorder.record({ about: { ...about, ...part }, type: "Warning", reason: "BackOff", message });
}

function events(): (KubeObject & Event)[] {
  return store.list("events").items.map((object) => object as KubeObject & Event);
}

function counts(): string[] {
  return events().map(({ message, count }) => `${message} ${count}`);
}

describe("an event", () => {
  test("is written as the kubelet writes it", () => {
    record();
    const [event] = events();
    const { uid: _uid, resourceVersion: _version, name, ...metadata } = event?.metadata ?? {};
    expect(name).toMatch(/^p\.[0-9a-f]{16}$/);
    expect({ ...event, metadata }).toEqual({
      apiVersion: "v1",
      kind: "Event",
      metadata: { namespace: "default", creationTimestamp: "2026-01-01T00:00:00Z" },
      involvedObject: about,
      reason: "BackOff",
      message: "m",
      source: { component: "kubelet", host: "node-1" },
      firstTimestamp: "2026-01-01T00:00:00Z",
      lastTimestamp: "2026-01-01T00:00:00Z",
      count: 1,
      type: "Warning",
      reportingComponent: "kubelet",
      reportingInstance: "node-1",
    });
  });

  test("that comes again is counted", () => {
    record();
    clock.advance(5000);
    record();
    const [event, ...more] = events();
    expect(more).toEqual([]);
    expect([event?.count, event?.firstTimestamp, event?.lastTimestamp]).toEqual([
      2,
      "2026-01-01T00:00:00Z",
      "2026-01-01T00:00:05Z",
    ]);
  });

  test("that has expired meanwhile is begun anew", () => {
    record();
    for (const { metadata } of events())
      store.delete("events", { namespace: "default", name: metadata.name ?? "" });
    record();
    expect(counts()).toEqual(["m 1"]);
  });

  test("of another container, or with another text, is another event", () => {
    record("a");
    record("b");
    record("a", { fieldPath: "spec.containers{side}" });
    expect(counts()).toEqual(["a 1", "b 1", "a 1"]);
  });

  test("names sort in the order of events, also within one millisecond", () => {
    for (const message of ["1", "2", "3"]) record(message);
    expect(counts()).toEqual(["1 1", "2 1", "3 1"]);
  });

  test("in a namespace that is gone is dropped", () => {
    record("m", { namespace: "nowhere" });
    expect(events()).toEqual([]);
  });

  test("is cut to what the API takes", () => {
    record("x".repeat(5000));
    expect(events()[0]?.message).toHaveLength(1024);
  });
});

describe("floods", () => {
  test("more than ten texts of one kind become one event", () => {
    for (let index = 0; index < 15; index++) record(`try ${index}`);
    expect(counts()).toHaveLength(15);
    for (let index = 0; index < 3; index++) record("try 12");
    expect(
      events().filter(({ message }) => message?.startsWith("(combined from similar events): ")),
    ).not.toEqual([]);
  });

  test("an object has 25 events at once, then one each five minutes", () => {
    for (let index = 0; index < 100; index++) record();
    expect(counts()).toEqual(["m 25"]);
    clock.advance(600_000);
    for (let index = 0; index < 100; index++) record();
    expect(counts()).toEqual(["m 27"]);
    record("m", { name: "other", uid: "v" });
    expect(counts()).toContain("m 1");
  });
});
