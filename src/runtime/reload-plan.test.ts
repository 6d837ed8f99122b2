import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { entryOf, scriptedSidecar } from "../testing/scripted-sidecar.ts";
import { needRestart, planReload } from "./reload-plan.ts";

const { sidecar } = scriptedSidecar();
const configuration = fc
  .dictionary(fc.constantFrom("a", "b", "c", "d"), fc.constantFrom("1", "2", "3"))
  .map((names) =>
    Object.entries(names).map(([name, fingerprint]) => entryOf(name, sidecar, { fingerprint })),
  );

test("a plan touches what differs, and nothing else", () => {
  fc.assert(
    fc.property(configuration, configuration, (now, next) => {
      const { start, restart, stop } = planReload(now, next);
      const running = new Map(now.map((entry) => [entry.name, entry.fingerprint]));
      const untouched = now.filter(
        ({ name }) => ![...stop, ...restart.map((entry) => entry.name)].includes(name),
      );
      for (const name of stop) running.delete(name);
      for (const entry of start) expect(running.has(entry.name)).toBe(false);
      for (const entry of [...start, ...restart]) running.set(entry.name, entry.fingerprint);
      expect(running).toEqual(new Map(next.map((entry) => [entry.name, entry.fingerprint])));
      for (const entry of untouched)
        expect(next.find(({ name }) => name === entry.name)?.fingerprint).toBe(entry.fingerprint);
    }),
  );
});

test("the same configuration in another order is the same", () => {
  const entries = ["a", "b", "c"].map((name) => entryOf(name, sidecar));
  expect(planReload(entries, entries.toReversed())).toEqual({ start: [], restart: [], stop: [] });
});

test("needRestart() names the keys that only a new process follows", () => {
  const settings = {
    state: "/state",
    admin: { port: 1, socket: "/socket" },
    log: { level: "info" },
    shutdown: { timeout: 1 },
  } as const;
  expect(needRestart(settings, { ...settings, log: { level: "debug" }, shutdown: { timeout: 2 } })).toEqual(
    [],
  );
  expect(
    needRestart(settings, { ...settings, state: "/other", admin: { port: 2, socket: "/other" } }),
  ).toEqual(["state", "admin.port", "admin.socket"]);
});
