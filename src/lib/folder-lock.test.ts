import { expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Problem } from "../kernel/problem.ts";
import { lockFolder } from "./folder-lock.ts";

function codeOf(attempt: () => unknown): unknown {
  try {
    attempt();
    return "locked";
  } catch (error) {
    return error instanceof Problem ? error.code : error;
  }
}

function inFolder(work: (folder: string) => void | Promise<void>): () => Promise<void> {
  return async () => {
    const folder = mkdtempSync(join(tmpdir(), "pillion-lock-"));
    try {
      await work(folder);
    } finally {
      rmSync(folder, { recursive: true });
    }
  };
}

test(
  "a folder is locked once, also within one process, until it is released",
  inFolder((folder) => {
    const lock = lockFolder(folder);
    expect(codeOf(() => lockFolder(folder))).toBe("E_FOLDER_IN_USE");
    lock.release();
    lockFolder(folder).release();
  }),
);

test(
  "an attempt that fails in this process does not give the folder to another one",
  inFolder(async (folder) => {
    const lock = lockFolder(folder);
    expect(codeOf(() => lockFolder(folder))).toBe("E_FOLDER_IN_USE");
    const script = `const { lockFolder } = await import(${JSON.stringify(join(import.meta.dir, "folder-lock.ts"))});
      try { lockFolder(${JSON.stringify(folder)}); console.log("locked"); } catch (error) { console.log(error.code); }`;
    await using child = Bun.spawn([process.execPath, "-e", script], { stdout: "pipe" });
    expect((await child.stdout.text()).trim()).toBe("E_FOLDER_IN_USE");
    lock.release();
  }),
);

test(
  "another process cannot lock it, and its death by kill -9 frees it",
  inFolder(async (folder) => {
    const script = `const { lockFolder } = await import(${JSON.stringify(join(import.meta.dir, "folder-lock.ts"))});
      globalThis.lock = lockFolder(${JSON.stringify(folder)}); console.log("locked"); setInterval(() => lock, 1e6);`;
    await using child = Bun.spawn([process.execPath, "-e", script], { stdout: "pipe" });
    const reader = child.stdout.getReader();
    await reader.read();
    expect(codeOf(() => lockFolder(folder))).toBe("E_FOLDER_IN_USE");
    child.kill("SIGKILL");
    await child.exited;
    lockFolder(folder).release();
  }),
);

test(
  "a folder that cannot be used says why",
  inFolder((folder) => {
    mkdirSync(join(folder, "lock"));
    expect(codeOf(() => lockFolder(folder))).toBe("E_FOLDER_UNUSABLE");
    expect(codeOf(() => lockFolder(join(folder, "missing")))).toBe("E_FOLDER_UNUSABLE");
    writeFileSync(join(folder, "file"), "");
    expect(codeOf(() => lockFolder(join(folder, "file")))).toBe("E_FOLDER_UNUSABLE");
  }),
);
