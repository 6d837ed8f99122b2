import { expect, test } from "bun:test";
import { asPod } from "../../k8s/pod.ts";
import { ManualClock } from "../../testing/manual-clock.ts";
import { at, openTestStore, pod } from "../../testing/store-fixtures.ts";
import { createEventRecorder } from "../store/event-recorder.ts";
import { evictPod } from "./evict-pod.ts";
import { podStatus } from "./pod-status.ts";
import { PodState } from "./pod-state.ts";

const MESSAGE = 'Usage of EmptyDir volume "cache" exceeds the limit "1Mi". ';

function evicted() {
  const clock = new ManualClock();
  using store = openTestStoreFor(clock);
  const recorder = createEventRecorder({ store: store.store, clock, component: "kubelet", host: "node-1" });
  store.store.create("pods", pod("p", { spec: { containers: [{ name: "app", image: "img" }] } }));
  const stored = store.store.get("pods", at("p"));
  if (stored === undefined) throw new Error("no pod");
  const state = new PodState(asPod(stored));
  evictPod({ clock, recorder }, state, MESSAGE);
  return { state, clock, events: store.store.list("events").items };
}

function openTestStoreFor(clock: ManualClock) {
  const store = openTestStore({ clock });
  return { store, [Symbol.dispose]: () => store.close() };
}

test("a pod that breaks its own limits ends as Failed and Evicted, and is no target of disruption [P13, T1]", () => {
  const { state, clock, events } = evicted();
  expect(state.termination).toMatchObject({ graceMs: 1000, cause: { kind: "evicted" } });
  expect(events.map(({ type, reason, message }) => [type, reason, message])).toEqual([
    ["Warning", "Evicted", MESSAGE],
  ]);
  expect(podStatus(state, "10.0.0.1", clock.now())).toMatchObject({ phase: "Pending" });
  state.isTornDown = true;
  const { phase, reason, message, conditions } = podStatus(state, "10.0.0.1", clock.now());
  expect({ phase, reason, message }).toEqual({ phase: "Failed", reason: "Evicted", message: MESSAGE });
  expect(conditions?.map(({ type }) => type)).not.toContain("DisruptionTarget");
});
