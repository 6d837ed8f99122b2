import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { connect } from "node:net";
import { Problem } from "../kernel/problem.ts";
import { FakeView, sidecarStatus } from "../testing/fake-view.ts";
import { type AdminServer, startAdminServer } from "./admin-server.ts";

let view: FakeView;
let server: AdminServer;

beforeEach(() => {
  view = new FakeView();
  server = startAdminServer(view, 0);
});
afterEach(() => server.stop());

async function get(path: string, init: RequestInit = {}): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${server.port}${path}`, init);
  return `${response.status} ${await response.text()}`;
}

/** Sends bytes as they are; resolves with all that comes back, when the other side closes. */
async function raw(bytes: string): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  let text = "";
  const socket = connect(server.port, "127.0.0.1", () => socket.write(bytes));
  socket.on("data", (chunk) => (text += chunk.toString("latin1")));
  socket.on("close", () => resolve(text)).on("error", () => resolve(text));
  return await promise;
}

describe("startAdminServer()", () => {
  test("answers probes with 200 when all is well", async () => {
    expect([await get("/livez"), await get("/readyz"), await get("/startupz")]).toEqual([
      "200 ok\n",
      "200 ok\n",
      "200 ok\n",
    ]);
  });

  test("says why a probe fails, and lists the sidecars that it asks when that is wanted", async () => {
    view.sidecars = [
      sidecarStatus("front", { health: "failing" }),
      sidecarStatus("log", { gate: "none", health: "failing" }),
      sidecarStatus("token", { gate: "start" }),
    ];
    view.ready = { isOk: false, because: ["front: it is broken"] };
    expect(await get("/readyz")).toBe("503 not ok\nfront: it is broken\n");
    expect(await get("/readyz?verbose")).toBe(
      "503 not ok\nfront: it is broken\nfront (example): running, failing\n",
    );
    expect(await get("/startupz?verbose=1")).toBe("200 ok\ntoken (example): running, ready\n");
  });

  test("hands out the metrics as Prometheus wants them", async () => {
    const response = await fetch(`http://127.0.0.1:${server.port}/metrics`);
    expect([response.headers.get("content-type"), await response.text()]).toEqual([
      "text/plain; version=0.0.4; charset=utf-8",
      "# TYPE pillion_x gauge\npillion_x 1\n",
    ]);
  });

  test.each([
    "/",
    "/status",
    "/quit",
    "/livez/",
    "/readyz/..%2fstatus",
    "/%6divez",
    "/toString",
    "/__proto__",
  ])("has nothing at %s", async (path) => {
    expect(await get(path)).toBe("404 not found\n");
    expect(await get(path, { method: "POST" })).toBe("404 not found\n");
  });

  test("takes GET and HEAD only", async () => {
    const refused = await fetch(`http://127.0.0.1:${server.port}/livez`, { method: "POST" });
    expect([refused.status, refused.headers.get("allow")]).toEqual([405, "GET, HEAD"]);
    expect(await get("/livez", { method: "HEAD" })).toBe("200 ");
    expect(view.calls).toEqual([]);
  });

  test("hides what breaks inside", async () => {
    view.brokenMetrics = new Error("secret of ours");
    expect(await get("/metrics")).toBe("500 internal error\n");
    expect(await get("/livez")).toBe("200 ok\n");
  });

  test("refuses what is too large, and nonsense", async () => {
    const host = "Host: x\r\nConnection: close\r\n";
    expect(await raw(`GET /livez?${"x".repeat(100_000)} HTTP/1.1\r\n${host}\r\n`)).not.toContain(" 200 ");
    expect(await raw(`GET /livez HTTP/1.1\r\n${host}X: ${"x".repeat(100_000)}\r\n\r\n`)).not.toContain(
      " 200 ",
    );
    expect(await raw("\u0016\u0003\u0001 no http\r\n\r\n")).not.toContain(" 200 ");
    expect(await get("/livez")).toBe("200 ok\n");
  });

  test("refuses a port that another process has, and says what to do", async () => {
    const script = `
      import { startAdminServer } from ${JSON.stringify(`${import.meta.dirname}/admin-server.ts`)};
      try { startAdminServer({}, ${server.port}); } catch (error) { console.log(error.code + ": " + error.message); }
      process.exit();
    `;
    const child = Bun.spawn([process.execPath, "-e", script], { stdio: ["ignore", "pipe", "inherit"] });
    expect(await child.stdout.text()).toBe(
      `E_PORT_TAKEN: Cannot listen on the admin port ${server.port}: another process has it\n`,
    );
    expect(() => startAdminServer(view, server.port)).toThrow(Problem);
  });

  test("gives the port back", async () => {
    await server.stop();
    const again = startAdminServer(view, server.port);
    expect(again.port).toBe(server.port);
    await again.stop();
  });
});
