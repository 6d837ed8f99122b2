/** What a write has returned survives kill -9, at whatever moment it comes. */
import { expect, test } from "bun:test";
import { cpSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { randomFrom } from "../../testing/crash-writer.ts";
import { openTestStore } from "../../testing/store-fixtures.ts";

const ROUNDS = process.env["PILLION_SOAK"] === "1" ? 100 : 10;
const MOST_WRITES = 1_500;

interface Round {
  readonly path: string;
  readonly seed: number;
  /** The kill comes when so many writes have been acknowledged, */
  readonly writes: number;
  /** or so long after the start, so that it also hits the opening of the file. */
  readonly afterMs: number;
}

/** Runs the writer until it is killed; gives all the lines that it got out. */
async function writeUntilKilled({ path, seed, writes, afterMs }: Round): Promise<string[]> {
  const writer = join(import.meta.dir, "../../testing/crash-writer.ts");
  const child = Bun.spawn([process.execPath, writer, path, String(seed)], {
    stdout: "pipe",
    stderr: "inherit",
  });
  const timer = setTimeout(() => child.kill("SIGKILL"), afterMs);
  let text = "";
  let lines = 0;
  for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    lines += chunk.split("\n").length - 1;
    if (lines >= writes) child.kill("SIGKILL");
  }
  clearTimeout(timer);
  expect([await child.exited, child.signalCode]).toEqual([137, "SIGKILL"]);
  return text
    .slice(0, text.lastIndexOf("\n") + 1)
    .split("\n")
    .filter(Boolean);
}

/** Versions by name, and the newest of all. */
interface State {
  readonly versions: ReadonlyMap<string, number>;
  readonly newest: number;
}

function acknowledgedBy({ versions, newest }: State, lines: readonly string[]): State {
  const after = new Map(versions);
  let last = newest;
  for (const line of lines) {
    const [action, name = "", version] = line.split(" ");
    last = Number(version);
    if (action === "put") after.set(name, last);
    else after.delete(name);
  }
  return { versions: after, newest: last };
}

/** Looked at in a copy: the next writer must find what the crash left, not what a clean close made of it. */
function foundIn(folder: string): State {
  cpSync(join(folder, "live"), join(folder, "copy"), { recursive: true });
  const store = openTestStore({ path: join(folder, "copy", "cluster.db") });
  const versions = new Map(
    store
      .list("configmaps")
      .items.map(({ metadata }) => [metadata.name ?? "", Number(metadata.resourceVersion)]),
  );
  const newest = Number(store.resourceVersion());
  store.close();
  rmSync(join(folder, "copy"), { recursive: true });
  return { versions, newest };
}

/** Names whose state is not the acknowledged one. */
function differing(found: State, acknowledged: State): string[] {
  const names = new Set([...found.versions.keys(), ...acknowledged.versions.keys()]);
  return [...names].filter((name) => found.versions.get(name) !== acknowledged.versions.get(name));
}

test(
  `kill -9 loses no acknowledged write in ${ROUNDS} rounds`,
  async () => {
    const seed = Number(process.env["PILLION_SEED"] ?? Date.now() % 2 ** 31);
    const random = randomFrom(seed);
    const folder = mkdtempSync(join(tmpdir(), "pillion-crash-"));
    mkdirSync(join(folder, "live"));
    const path = join(folder, "live", "cluster.db");
    openTestStore({ path }).close();
    let state = foundIn(folder);
    for (let round = 1; round <= ROUNDS; round += 1) {
      const writes = Math.floor(random() * MOST_WRITES);
      const afterMs = random() < 0.2 ? Math.floor(random() * 60) : 10_000;
      const lines = await writeUntilKilled({ path, seed: seed + round, writes, afterMs });
      const acknowledged = acknowledgedBy(state, lines);
      const found = foundIn(folder);
      // One write may have been committed whose line did not get out any more; it has the next version.
      const names = differing(found, acknowledged);
      const extra = names.map((name) => found.versions.get(name) ?? found.newest);
      const context = `PILLION_SEED=${seed}, round ${round}, ${lines.length} writes`;
      expect({ context, newest: found.newest, extra }).toEqual({
        context,
        newest: acknowledged.newest + names.length,
        extra: names.length === 0 ? [] : [acknowledged.newest + 1],
      });
      state = found;
    }
    rmSync(folder, { recursive: true });
  },
  ROUNDS * 2_000,
);
