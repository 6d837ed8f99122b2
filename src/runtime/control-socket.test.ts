import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Problem } from "../kernel/problem.ts";
import { FakeView, sidecarStatus } from "../testing/fake-view.ts";
import { startControlSocket } from "./control-socket.ts";

let folder: string;
let view: FakeView;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "pillion-socket-"));
  view = new FakeView();
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

async function ask(path: string, call: string, body?: unknown): Promise<unknown> {
  const [method = "", route = ""] = call.split(" ");
  const text = typeof body === "string" ? body : JSON.stringify(body);
  const response = await fetch(`http://pillion${route}`, {
    unix: path,
    method,
    ...(text === undefined ? {} : { body: text }),
  });
  const answer = await response.text();
  return [response.status, answer.startsWith("{") && !answer.includes("\n") ? JSON.parse(answer) : answer];
}

async function problemOf(path: string): Promise<string> {
  try {
    const socket = await startControlSocket(view, path);
    await socket.stop();
  } catch (error) {
    if (error instanceof Problem) return `${error.code}: ${error.message}`;
    throw error;
  }
  return "fine";
}

/** A socket whose process is gone. */
async function leaveStaleSocket(path: string): Promise<void> {
  const server = Bun.serve({ unix: `${path}.draft`, fetch: () => new Response() });
  renameSync(`${path}.draft`, path);
  await server.stop(true);
}

const letter = {
  id: "7",
  at: "2026-01-01T00:00:00Z",
  sink: "http",
  reason: "HTTP 400",
  origin: "/a@1",
  record: "{}",
};

describe("startControlSocket()", () => {
  test("makes a socket for this user only, in a folder for this user only, and removes it at the end", async () => {
    const path = join(folder, "new/inner/control.sock");
    const socket = await startControlSocket(view, path);
    const mode = (name: string) => (statSync(name).mode & 0o777).toString(8);
    expect([mode(path), mode(join(folder, "new")), mode(join(folder, "new/inner"))]).toEqual([
      "600",
      "700",
      "700",
    ]);
    expect(readdirSync(join(folder, "new/inner"))).toEqual(["control.sock"]);
    await socket.stop();
    expect(readdirSync(join(folder, "new/inner"))).toEqual([]);
  });

  test("replaces a socket that nobody answers on", async () => {
    const path = join(folder, "control.sock");
    await leaveStaleSocket(path);
    const socket = await startControlSocket(view, path);
    expect(await ask(path, "GET /livez")).toEqual([200, { isOk: true, because: [] }]);
    await socket.stop();
  });

  test("leaves a socket alone that somebody answers on, and its own successor's", async () => {
    const path = join(folder, "control.sock");
    const first = await startControlSocket(view, path);
    expect(await problemOf(path)).toBe(
      `E_SOCKET_TAKEN: Cannot make the control socket "${path}": another Pillion process answers there`,
    );
    rmSync(path);
    const second = await startControlSocket(view, path);
    await first.stop();
    expect(existsSync(path)).toBe(true);
    await second.stop();
  });

  test("neither follows nor removes what is no socket", async () => {
    const [file, link, dir] = [join(folder, "file"), join(folder, "link"), join(folder, "dir")];
    writeFileSync(file, "precious");
    symlinkSync(file, link);
    mkdirSync(dir);
    for (const path of [file, link, dir])
      expect(await problemOf(path)).toBe(
        `E_SOCKET: Cannot make the control socket "${path}": something that is no socket stands there`,
      );
    expect([readFileSync(file, "utf8"), lstatSync(link).isSymbolicLink()]).toEqual(["precious", true]);
    expect(readdirSync(folder).toSorted()).toEqual(["dir", "file", "link"]);
  });

  test("says what hinders it", async () => {
    const long = join(folder, "x".repeat(100));
    expect(await problemOf(long)).toContain("a socket's path takes 107 bytes at most");
    expect(await problemOf("/proc/pillion/control.sock")).toStartWith("E_SOCKET: ");
    writeFileSync(join(folder, "file"), "");
    expect(await problemOf(join(folder, "file/control.sock"))).toStartWith("E_SOCKET: ");
    if (process.getuid?.() === 0) return; // Root may write everywhere.
    chmodSync(folder, 0o500);
    expect(await problemOf(join(folder, "control.sock"))).toContain("EACCES");
    chmodSync(folder, 0o700);
  });
});

describe("the control socket", () => {
  let path: string;
  let stop: () => Promise<void>;
  beforeEach(async () => {
    path = join(folder, "c.sock");
    const socket = await startControlSocket(view, path);
    stop = () => socket.stop();
  });
  afterEach(() => stop());

  test("tells the status and answers probes", async () => {
    view.sidecars = [sidecarStatus("a")];
    view.ready = { isOk: false, because: ["a: broken"] };
    expect(await ask(path, "GET /status")).toEqual([200, view.status()]);
    expect(await ask(path, "GET /readyz")).toEqual([200, { isOk: false, because: ["a: broken"] }]);
    expect(await ask(path, "GET /startupz")).toEqual([200, { isOk: true, because: [] }]);
  });

  test("hurries, ends and reloads", async () => {
    expect(await ask(path, "POST /prestop")).toEqual([200, {}]);
    expect(await ask(path, "POST /prestop", { graceMs: 30_000 })).toEqual([200, {}]);
    expect(await ask(path, "POST /reload")).toEqual([200, { outcome: "unchanged", needRestart: [] }]);
    expect(await ask(path, "POST /quit")).toEqual([202, {}]);
    await view.hasQuit;
    expect(view.calls).toEqual(["prestop {}", 'prestop {"graceMs":30000}', "reload", "quit"]);
  });

  test("tells why a reload was refused", async () => {
    const details = { code: "E_CONFIG_INVALID", message: "Cannot use it: no", fix: "Correct it" };
    view.reloaded = { outcome: "rejected", problem: new Problem(details) };
    expect(await ask(path, "POST /reload")).toEqual([422, { problem: details }]);
  });

  test("lists dead letters line by line, and sends them again", async () => {
    view.sidecars = [sidecarStatus("a"), sidecarStatus("b"), sidecarStatus("c")];
    view.letters.set("a", [letter]).set("b", [letter, { ...letter, id: "8" }]);
    expect(await ask(path, "GET /dead-letters?sidecar=a")).toEqual([
      200,
      `${JSON.stringify({ sidecar: "a", ...letter })}\n`,
    ]);
    expect(await ask(path, "GET /dead-letters")).toEqual([200, expect.stringMatching(/^(?:\{.*\}\n){3}$/)]);
    expect(await ask(path, "POST /dead-letters/replay", { ids: ["7"] })).toEqual([
      400,
      { problem: expect.objectContaining({ code: "E_WHICH_SIDECAR" }) },
    ]);
    expect(await ask(path, "POST /dead-letters/replay", { ids: ["7", "9"], sidecar: "b" })).toEqual([
      200,
      { queued: 1 },
    ]);
    expect(await ask(path, "POST /dead-letters/replay", { ids: "all" })).toEqual([200, { queued: 2 }]);
    expect(await ask(path, "GET /dead-letters")).toEqual([200, ""]);
  });

  test.each([
    ["GET /dead-letters?sidecar=aa", undefined, 400, "E_NO_SUCH_SIDECAR"],
    ["GET /dead-letters?sidecar=c", undefined, 400, "E_NO_DEAD_LETTERS"],
    ["POST /dead-letters/replay", "no json", 400, "E_BODY"],
    ["POST /dead-letters/replay", { ids: [] }, 400, "E_BODY"],
    ["POST /prestop", { graceMs: -1 }, 400, "E_BODY"],
    ["GET /quit", undefined, 404, "E_NO_SUCH_CALL"],
    ["POST /status", undefined, 404, "E_NO_SUCH_CALL"],
    ["GET /toString", undefined, 404, "E_NO_SUCH_CALL"],
  ])("refuses %s with %j", async (call, body, status, code) => {
    view.sidecars = [sidecarStatus("a"), sidecarStatus("c")];
    expect(await ask(path, call, body)).toEqual([status, { problem: expect.objectContaining({ code }) }]);
    expect(view.calls).toEqual([]);
  });
});
