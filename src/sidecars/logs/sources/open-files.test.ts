import { appendFileSync, copyFileSync, renameSync, truncateSync, writeFileSync } from "node:fs";
import { expect, test } from "bun:test";
import { Reading, temporaryFolder } from "./reading.test-support.ts";

test("lines come as they are written, an unfinished one once it is finished", async () => {
  using folder = temporaryFolder();
  const log = folder.at("app.log");
  writeFileSync(log, "one\ntwo\nthr");
  const reading = new Reading({ patterns: [`${folder.path}/*.log`] });
  await reading.pass(500);
  expect(reading.lines).toEqual(["one", "two"]);
  appendFileSync(log, "ee\nfour");
  await reading.pass(1500);
  expect(reading.lines).toEqual(["one", "two", "three"]);
  expect(await reading.finish()).toEqual(["one", "two", "three", "four"]);
});

test("copytruncate: what stands in the copy comes first, and not twice", async () => {
  using folder = temporaryFolder();
  const log = folder.at("app.log");
  writeFileSync(log, "one\ntwo\n");
  const reading = new Reading({ patterns: [`${folder.path}/app.log*`] });
  await reading.pass(500);
  appendFileSync(log, "three\n");
  copyFileSync(log, `${log}.1`);
  truncateSync(log);
  appendFileSync(log, "four\n");
  await reading.pass(8000);
  expect(reading.lines).toEqual(["one", "two", "three", "four"]);
  await reading.finish();
  expect(reading.lines).toEqual(["one", "two", "three", "four"]);
});

test("rename and create", async () => {
  using folder = temporaryFolder();
  const log = folder.at("app.log");
  writeFileSync(log, "one\n");
  const reading = new Reading({ patterns: [`${folder.path}/*.log`] });
  await reading.pass(500);
  appendFileSync(log, "two\n");
  renameSync(log, `${log}.1`);
  writeFileSync(log, "three\n");
  appendFileSync(`${log}.1`, "two and a half\n");
  await reading.pass(8000);
  expect(reading.lines).toEqual(["one", "two", "two and a half", "three"]);
  expect(reading.chunks.filter(({ isLast }) => isLast).length).toBe(1);
  appendFileSync(`${log}.1`, "late\n");
  await reading.pass(8000);
  expect(reading.lines).toEqual(["one", "two", "two and a half", "three", "late"]);
  await reading.finish();
  expect(reading.lines).toEqual(["one", "two", "two and a half", "three", "late"]);
});
