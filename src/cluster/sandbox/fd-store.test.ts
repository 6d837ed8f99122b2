import { expect, test } from "bun:test";
import { closeSync, constants, mkdtempSync, openSync, readSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findFdStore, openFdStore } from "./fd-store.ts";
import { loadLauncher } from "./launcher.ts";

/** A named pipe, and what is in it for somebody who opens it anew. */
function newPipe(folder: string, name: string) {
  const path = join(folder, name);
  loadLauncher().call("mknodat", [-100, path, constants.S_IFIFO | 0o600, 0]);
  const open = () => openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
  return {
    open,
    content() {
      const fd = open();
      try {
        const bytes = Buffer.alloc(100);
        return bytes.toString("utf8", 0, readSync(fd, bytes));
      } catch {
        return ""; // EAGAIN: it is empty.
      } finally {
        closeSync(fd);
      }
    },
  };
}

test("what is held stays open with its content, what is dropped does not", () => {
  const folder = mkdtempSync(join(tmpdir(), "fd-store-"));
  const store = openFdStore(loadLauncher());
  const pipes = ["a", "b", "c"].map((name) => newPipe(folder, name));
  const fds = pipes.map((pipe, index) => {
    const fd = pipe.open();
    writeSync(fd, `in ${index}`);
    store.hold(String(index), [fd]);
    return fd;
  });
  store.drop("1");
  for (const fd of fds) closeSync(fd);
  expect(pipes.map((pipe) => pipe.content())).toEqual(["in 0", "", "in 2"]);
  store.close();
  rmSync(folder, { recursive: true });
});

test("another engine finds the store in the process that holds it", async () => {
  const folder = mkdtempSync(join(tmpdir(), "fd-store-"));
  const launcher = loadLauncher();
  const store = openFdStore(launcher);
  const holder = Bun.spawn(["sleep", "1000"], { stdio: [store.ends[0], store.ends[1], "ignore"] });
  const [kept, lost] = [newPipe(folder, "kept"), newPipe(folder, "lost")];
  for (const pipe of [kept, lost]) {
    const fd = pipe.open();
    writeSync(fd, "text");
    store.hold(pipe === kept ? "kept" : "lost", [fd]);
    closeSync(fd);
  }
  store.close();
  const found = findFdStore(launcher, holder.pid, [0, 1]);
  const recovered = found?.recover();
  expect([...(recovered?.keys() ?? [])]).toEqual(["kept", "lost"]);
  found?.drop("lost");
  for (const fd of [...(recovered?.values() ?? [])].flat()) closeSync(fd);
  found?.close();
  expect([kept.content(), lost.content()]).toEqual(["text", ""]);
  holder.kill();
  await holder.exited;
  expect(kept.content()).toBe("");
  rmSync(folder, { recursive: true });
});
