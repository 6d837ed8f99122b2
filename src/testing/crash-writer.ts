/**
 * A program that writes to a store, which has the namespace `default`, until it is killed: `bun crash-writer.ts FILE SEED`. It
 * prints a line after each write has returned, `put NAME VERSION` or `gone NAME VERSION`, and never before.
 */
import { writeSync } from "node:fs";
import { resourceOf } from "../k8s/catalogue.ts";
import { systemClock } from "../kernel/clock.ts";
import { openStore } from "../cluster/store/open-store.ts";
import { configMap } from "./store-fixtures.ts";

const NAMES = 40;

/** Small and repeatable; quality does not matter here (mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function run(path: string, random: () => number): never {
  const store = openStore({ path, clock: systemClock, resources: resourceOf, firstVersion: 0 });
  for (;;) {
    const name = `c${Math.floor(random() * NAMES)}`;
    const at = { namespace: "default", name };
    const data = { text: "x".repeat(Math.floor(random() * 5_000)) };
    let line: string;
    if (store.get("configmaps", at) === undefined) {
      line = `put ${name} ${store.create("configmaps", configMap(name, { data })).metadata.resourceVersion}`;
    } else if (random() < 0.2) {
      line = `gone ${name} ${store.delete("configmaps", at).object.metadata.resourceVersion}`;
    } else {
      const written = store.update("configmaps", at, (current) => ({ ...current, data }));
      line = `put ${name} ${written.metadata.resourceVersion}`;
    }
    writeSync(1, `${line}\n`);
  }
}

if (import.meta.main) run(process.argv[2] ?? ":memory:", randomFrom(Number(process.argv[3])));
