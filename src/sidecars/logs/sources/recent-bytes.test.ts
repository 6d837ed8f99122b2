import { expect, test } from "bun:test";
import { LogFile } from "./log-file.ts";
import { RecentBytes } from "./recent-bytes.ts";

function logFile(): LogFile {
  return new LogFile({ origin: { path: "/a", key: "a" }, name: "/a", where: undefined, offset: 0, now: 0 });
}

test("RecentBytes gives what was handed out last, whatever the sizes of the pieces", () => {
  const recent = new RecentBytes();
  const log = logFile();
  let all = Buffer.alloc(0);
  for (const size of [10, 60_000, 5_536, 70_000, 1, 65_535, 3]) {
    const piece = Buffer.from(Array.from({ length: size }, (_, index) => (all.length + index * 7) % 251));
    all = Buffer.concat([all, piece]);
    log.handOut(piece);
    recent.note(log, piece);
    const from = Math.max(0, all.length - 65_536);
    expect(Buffer.from(recent.read(log, from, all.length) ?? []).equals(all.subarray(from))).toBe(true);
    expect(recent.read(log, from - 1, all.length)).toBeUndefined();
  }
});

test("RecentBytes keeps the most active files only", () => {
  const recent = new RecentBytes();
  const logs = Array.from({ length: 65 }, logFile);
  for (const log of logs) {
    log.handOut(Buffer.from("abc"));
    recent.note(log, Buffer.from("abc"));
  }
  const known = logs.map((log) => recent.read(log, 0, 3) !== undefined);
  expect([known[0], known.slice(1).every(Boolean)]).toEqual([false, true]);
});
