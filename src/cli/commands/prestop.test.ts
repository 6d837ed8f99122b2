import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ControlSocket, startControlSocket } from "../../runtime/control-socket.ts";
import { FakeView, sidecarStatus } from "../../testing/fake-view.ts";
import { parseInvocation, type Terminal } from "../command.ts";
import { prestopCommand } from "./prestop.ts";

let folder: string;
let view: FakeView;
let socket: ControlSocket;
let errors: string;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "pillion-prestop-"));
  view = new FakeView();
  errors = "";
  socket = await startControlSocket(view, join(folder, "c.sock"));
});
afterEach(async () => {
  await socket.stop();
  rmSync(folder, { recursive: true });
});

function prestop(stop: AbortSignal, ...args: readonly string[]): Promise<number> {
  const terminal: Terminal = {
    out: () => undefined,
    err: (text) => void (errors += text),
    isInteractive: false,
    cwd: folder,
    env: {},
    stop,
    stopNow: stop,
    readStdin: () => Promise.resolve(""),
  };
  const invocation = parseInvocation(prestopCommand, [...args, "--socket", join(folder, "c.sock")]);
  return prestopCommand.run(invocation, terminal);
}

/** Reports one record less each time it is asked; resolves when that is the first time. */
function countDown(from: number): Promise<void> {
  const { promise: asked, resolve } = Promise.withResolvers<void>();
  let records = from;
  Object.defineProperty(view, "sidecars", {
    get() {
      resolve();
      return [
        sidecarStatus("a"),
        sidecarStatus("b", { undelivered: { records: Math.max(0, records--), bytes: 1, keptBytes: 0 } }),
      ];
    },
  });
  return asked;
}

const never = new AbortController().signal;

describe("pillion prestop", () => {
  test("returns at once without --wait", async () => {
    void countDown(1_000_000);
    expect(await prestop(never)).toBe(0);
    expect([view.calls, errors]).toEqual([["prestop {}"], ""]);
  });

  test("--wait returns when nothing is undelivered", async () => {
    void countDown(3);
    expect(await prestop(never, "--wait", "--grace", "2m")).toBe(0);
    expect([view.calls, errors]).toEqual([['prestop {"graceMs":120000}'], ""]);
  });

  test("--wait returns after --timeout, and that is no failure", async () => {
    void countDown(1_000_000);
    expect(await prestop(never, "--wait", "--timeout", "1ms")).toBe(0);
    expect(errors).toMatch(/^\d+ records are not delivered yet\n$/);
  });

  test("--wait ends with the process it waits for, and when it is told to", async () => {
    const asked = countDown(1_000_000);
    const waiting = prestop(never, "--wait", "--timeout", "10m");
    await asked;
    await socket.stop();
    expect([await waiting, errors]).toEqual([0, ""]);
    socket = await startControlSocket(view, join(folder, "c.sock"));
    expect(await prestop(AbortSignal.abort(), "--wait", "--timeout", "10m")).toBe(0);
  });
});
