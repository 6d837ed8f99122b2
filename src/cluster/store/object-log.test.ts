import { Database } from "bun:sqlite";
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { resourceOf } from "../../k8s/catalogue.ts";
import { Problem } from "../../kernel/problem.ts";
import { ManualClock } from "../../testing/manual-clock.ts";
import {
  at,
  configMap,
  namespace,
  openTestStore,
  pod,
  recordWatch,
  statusOf,
} from "../../testing/store-fixtures.ts";
import type { ObjectLog } from "./object-log.ts";
import { ObjectStore } from "./object-store.ts";

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "pillion-log-"));
  path = join(folder, "cluster.db");
});
afterEach(() => rmSync(folder, { recursive: true }));

function problemOf(call: () => unknown): Problem {
  try {
    call();
  } catch (error) {
    if (error instanceof Problem) return error;
    throw error;
  }
  throw new Error("the call did not fail");
}

/** A closed file with some objects in it. */
function writtenFile(objects = 40): void {
  const store = openTestStore({ path });
  for (let index = 0; index < objects; index += 1) {
    store.create("configmaps", configMap(`c${index}`, { data: { text: "x".repeat(200) } }));
  }
  store.close();
}

describe("the store's file", () => {
  test("can be read by its owner only, with everything beside it", () => {
    const umask = process.umask(0);
    const store = openTestStore({ path });
    process.umask(umask);
    const modes = [path, `${path}-wal`].map((file) => statSync(file).mode & 0o777);
    store.close();
    expect(modes).toEqual([0o600, 0o600]);
  });

  test("belongs to one process at a time", () => {
    const store = openTestStore({ path });
    const problem = problemOf(() => openTestStore({ path }));
    expect([problem.code, problem.message]).toEqual([
      "E_STORE_IN_USE",
      `Cannot open the cluster state "${path}": another process has it open`,
    ]);
    store.close();
    openTestStore({ path }).close();
  });

  test("of a newer version is left alone", () => {
    writtenFile();
    const database = new Database(path);
    database.run("PRAGMA user_version = 99");
    database.close();
    const before = readFileSync(path);
    expect(problemOf(() => openTestStore({ path }))).toMatchObject({
      code: "E_STORE_NEWER",
      message: `Cannot open the cluster state "${path}": it has format 99, this version knows up to 1`,
    });
    expect(readFileSync(path)).toEqual(before);
  });

  test("of another program is refused", () => {
    const database = new Database(path);
    database.run("CREATE TABLE theirs (a)");
    database.close();
    expect(problemOf(() => openTestStore({ path })).code).toBe("E_STORE_CORRUPT");
  });

  test.each([
    ["is no database", () => writeFileSync(path, "not a database ".repeat(99))],
    ["was cut off", () => truncateSync(path, 5_000)],
    ["has an entry that is no object", () => spoil("UPDATE objects SET object = '[]' WHERE name = 'c1'")],
    ["has an entry that is no JSON", () => spoil("UPDATE objects SET object = '{' WHERE name = 'c1'")],
    ["has lost its counter", () => spoil("DELETE FROM counter")],
    ["has lost a table", () => spoil("DROP TABLE objects")],
  ])("that %s is reported with what to do", (_what, damage) => {
    writtenFile();
    damage();
    const problem = problemOf(() => openTestStore({ path }));
    expect(problem.code).toBe("E_STORE_CORRUPT");
    expect(problem.message).toStartWith(`Cannot read the cluster state "${path}": `);
    expect(problem.fix).toContain("start again with an empty cluster");
  });

  function spoil(sql: string): void {
    const database = new Database(path);
    database.run(sql);
    database.close();
  }

  test("with any bytes changed opens or is a Problem, never another error", () => {
    writtenFile();
    const good = readFileSync(path);
    const change = fc.record({ offset: fc.nat({ max: good.length - 1 }), byte: fc.nat({ max: 255 }) });
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 40 }), (changes) => {
        const bad = Buffer.from(good);
        for (const { offset, byte } of changes) bad[offset] = byte;
        for (const file of [path, `${path}-wal`]) rmSync(file, { force: true });
        writeFileSync(path, bad);
        try {
          openTestStore({ path }).close();
        } catch (error) {
          expect(error).toBeInstanceOf(Problem);
        }
      }),
      { numRuns: 60 },
    );
  });

  test.each([
    ["a folder that is not there", () => join(folder, "missing", "cluster.db")],
    ["a folder in its place", () => mkdirSync(path) ?? path],
    ["a file where its folder should be", () => (writeFileSync(path, ""), join(path, "cluster.db"))],
  ])("in %s is reported with what to do", (_what, prepare) => {
    const where = prepare();
    const problem = problemOf(() => openTestStore({ path: where }));
    expect([problem.code, problem.fix]).toEqual([
      "E_STORE_UNREADABLE",
      "Make the folder exist and be writable for this user, with space left on its disk",
    ]);
    expect(problem.message).toStartWith(`Cannot open the cluster state "${where}": `);
  });

  test("that was created and never written is a new one", () => {
    writeFileSync(path, "");
    const store = openTestStore({ path });
    expect(store.list("namespaces").items).toHaveLength(2);
    store.close();
  });
});

test("a write that the disk refuses has not happened, and the next one may succeed", () => {
  let isFull = false;
  const log: ObjectLog = {
    load: () => ({ version: 0, objects: [] }),
    write: () => {
      if (isFull) throw new Error("database or disk is full");
    },
    close: () => {},
  };
  const store = new ObjectStore({ log, clock: new ManualClock(), resources: resourceOf, historyLimit: 10 });
  store.create("namespaces", namespace("default"));
  const created = store.create("pods", pod("a"));
  const { lines } = recordWatch(store, "pods", { resourceVersion: "2" });
  isFull = true;
  const attempts = [
    () => store.create("pods", pod("b")),
    () => store.update("pods", at("a"), (current) => ({ ...current, spec: { x: 1 } })),
    () => store.delete("pods", at("a")),
  ];
  for (const attempt of attempts) {
    expect(statusOf(attempt)).toMatchObject({
      code: 500,
      message: "Internal error occurred: the cluster state could not be written: database or disk is full",
    });
  }
  expect([store.list("pods").items, store.resourceVersion(), lines]).toEqual([[created], "2", []]);
  isFull = false;
  expect(store.create("pods", pod("b")).metadata.resourceVersion).toBe("3");
});
