import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startTimeOf } from "../lib/process-identity.ts";
import type { ApiClient } from "./api-client.ts";
import type { Terminal } from "./command.ts";
import type { EngineControl } from "./engine-control.ts";
import { openStateFolder, stateFolderOf } from "./state-folder.ts";
import { stopEngine } from "./stop-engine.ts";

let home = "";
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "stop-"));
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

/** What is said while an engine takes longer than a second to end. */
async function saidWhileEnding(pods: readonly object[]): Promise<string> {
  const folder = stateFolderOf({ PILLION_HOME: home });
  openStateFolder(folder);
  await using engine = Bun.spawn(["sleep", "1.2"]);
  const { pid } = engine;
  writeFileSync(folder.engineRecord, JSON.stringify({ pid, startTime: startTimeOf(pid) }));
  let said = "";
  const api = { request: () => Promise.resolve({ items: pods }) } as unknown as ApiClient;
  const control = { clean: () => Promise.resolve() } as unknown as EngineControl;
  const never = new AbortController().signal;
  const terminal = { err: (text: string) => void (said += text), stop: never, stopNow: never };
  await stopEngine({ folder, control, terminal: terminal as unknown as Terminal, api, keepState: false });
  return said;
}

test("says that pods are being ended when there are any", async () => {
  expect(await saidWhileEnding([{}])).toStartWith("ending the pods, 10 s at most");
});

test("says nothing of pods when there are none", async () => {
  expect(await saidWhileEnding([])).toBe("");
});
