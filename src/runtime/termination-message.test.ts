import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "bun:test";
import * as fc from "fast-check";
import type { Undelivered } from "../kernel/sidecar.ts";
import { ManualClock } from "../testing/manual-clock.ts";
import { TerminationMessage, terminationText } from "./termination-message.ts";
import type { SidecarStatus } from "./view.ts";

const folder = mkdtempSync(join(tmpdir(), "pillion-termination-"));
afterAll(() => rmSync(folder, { recursive: true }));

function status(name: string, more: Partial<SidecarStatus> = {}): SidecarStatus {
  const since = "2026-01-01T00:00:00.000Z";
  return {
    name,
    kind: "logs",
    state: "finishing",
    health: "ready",
    gate: "none",
    restarts: 0,
    since,
    ...more,
  };
}

function amount(records: number): { undelivered: Undelivered } {
  return { undelivered: { records, bytes: records * 10, keptBytes: records * 5 } };
}

function setUp(content: string | null = "") {
  const path = join(folder, "log");
  rmSync(path, { force: true });
  if (content !== null) writeFileSync(path, content);
  const clock = new ManualClock();
  const state: { statuses: SidecarStatus[]; asked: number } = { statuses: [], asked: 0 };
  const message = new TerminationMessage(path, clock, () => {
    state.asked += 1;
    return state.statuses;
  });
  return { clock, state, message, read: () => readFileSync(path, "utf8") };
}

test("the message is true from the first second on, is kept so every 250 ms, and is empty in the end", () => {
  const { clock, state, message, read } = setUp();
  state.statuses = [status("access", amount(1_000)), status("other", amount(0))];
  message.begin();
  clock.advance(999);
  expect(read()).toBe("");
  clock.advance(1);
  const said = (records: number) =>
    JSON.stringify({ undelivered: { access: { records, bytes: records * 10, keptBytes: records * 5 } } });
  expect(read()).toBe(said(1_000));
  state.statuses = [status("access", amount(7))];
  clock.advance(249);
  expect(read()).toBe(said(1_000));
  clock.advance(1);
  expect(read()).toBe(said(7));
  state.statuses = [status("access", amount(0))];
  message.end();
  expect([read(), clock.pending]).toEqual(["", 0]);
});

test("a quick end writes once, at the end", () => {
  const { clock, state, message, read } = setUp();
  message.begin();
  clock.advance(500);
  state.statuses = [status("access", { health: "failing", cause: { code: "E_X", message: "Cannot do it" } })];
  message.end();
  expect([read(), state.asked, clock.pending]).toEqual(['{"failing":{"access":"E_X: Cannot do it"}}', 1, 0]);
});

test("what did not change is not written again, so that what somebody else wrote since stays", () => {
  const { clock, state, message, read } = setUp();
  state.statuses = [status("access", amount(1))];
  message.begin();
  clock.advance(1_000);
  writeFileSync(join(folder, "log"), "else");
  clock.advance(1_000);
  expect(read()).toBe("else");
  message.end();
});

test("without the file nothing happens", () => {
  const { clock, state, message } = setUp(null);
  message.begin();
  clock.advance(5_000);
  message.end();
  expect([state.asked, clock.pending]).toEqual([0, 0]);
});

test("the message is at most 4096 bytes of whole JSON, undelivered data first", () => {
  const name = fc.string({ unit: "binary", minLength: 1, maxLength: 63 });
  fc.assert(
    fc.property(fc.uniqueArray(name, { maxLength: 120 }), fc.boolean(), (names, isFailing) => {
      const text = terminationText(
        names.map((each) =>
          status(each, {
            ...amount(1),
            ...(isFailing ? { health: "failing", cause: { code: "E_X", message: "é".repeat(500) } } : {}),
          }),
        ),
      );
      expect(Buffer.byteLength(text)).toBeLessThanOrEqual(4096);
      if (names.length === 0) return expect(text).toBe("");
      const told = JSON.parse(text) as { undelivered?: object; failing?: object; more?: number };
      const [lost, failing] = [Object.keys(told.undelivered ?? {}), Object.keys(told.failing ?? {})];
      if (failing.length > 0) expect(lost.length).toBe(names.length);
      return expect(lost.length + failing.length + (told.more ?? 0)).toBe(names.length * (isFailing ? 2 : 1));
    }),
    { numRuns: 60 },
  );
});
