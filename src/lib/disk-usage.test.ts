import { afterEach, beforeEach, expect, test } from "bun:test";
import { linkSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { diskUsage } from "./disk-usage.ts";

const MIB = 1024 * 1024;

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "usage-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test("counts as du does: blocks, names of one file once, no links", async () => {
  mkdirSync(join(folder, "a/b"), { recursive: true });
  writeFileSync(join(folder, "a/b/file"), Buffer.alloc(MIB, 1));
  linkSync(join(folder, "a/b/file"), join(folder, "again"));
  symlinkSync("/usr", join(folder, "link"));
  writeFileSync(join(folder, "sparse"), "");
  truncateSync(join(folder, "sparse"), 100 * MIB);
  const { stdout } = Bun.spawnSync(["du", "-s", "--block-size=1", folder]);
  const bytes = await diskUsage(folder);
  expect(bytes).toBe(Number(stdout.toString().split("\t")[0]));
  expect(bytes).toBeGreaterThanOrEqual(MIB);
  expect(bytes).toBeLessThan(2 * MIB);
});

test("stops when it knows enough", async () => {
  for (let index = 0; index < 50; index++)
    writeFileSync(join(folder, String(index)), Buffer.alloc(100_000, 1));
  expect(await diskUsage(folder, { enough: 300_000 })).toBeLessThan(500_000);
  expect(await diskUsage(folder, { maxEntries: 2 })).toBeLessThan(300_000);
});

test("what is not there takes nothing", async () => {
  expect(await diskUsage(join(folder, "none"))).toBe(0);
});
