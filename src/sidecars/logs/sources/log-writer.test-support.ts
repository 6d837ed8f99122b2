/** A program of its own that logs at a steady pace. Arguments: path, lines per second, milliseconds, "keep" or "reopen". */
import { appendFileSync, closeSync, openSync, statSync, writeSync } from "node:fs";

const [path = "", pace = "0", duration = "0", way = "reopen"] = process.argv.slice(2);
const STEP_MS = 5;
const perStep = Math.ceil((Number(pace) * STEP_MS) / 1_000);
const startedAt = performance.now();
let file = openSync(path, "a");
let line = 0;
for (let step = 0; performance.now() - startedAt < Number(duration); step++) {
  let text = "";
  for (let index = 0; index < perStep; index++)
    text += `line ${line++} of an application that writes a lot\n`;
  if (
    way === "reopen" &&
    statSync(path, { throwIfNoEntry: false })?.ino !== statSync(`/proc/self/fd/${file}`).ino
  ) {
    closeSync(file);
    file = openSync(path, "a");
  }
  writeSync(file, text);
  const ahead = (step + 1) * STEP_MS - (performance.now() - startedAt);
  if (ahead > 0) Bun.sleepSync(ahead);
}
closeSync(file);
appendFileSync(`${path}.count`, String(line));
