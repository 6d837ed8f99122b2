/** Receivers that refuse, break off, babble, hang or are not there: nothing is lost, and the status says what is wrong. */
import { describe, expect, test } from "bun:test";
import { appendFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import type { DeadLetter } from "../../src/kernel/dead-letters.ts";
import { RecordSink } from "../../src/testing/record-sink.ts";
import {
  type Fault,
  type ReceivedRequest,
  type Reply,
  ScriptedServer,
} from "../../src/testing/scripted-server.ts";
import { SidecarHome } from "../../src/testing/sidecar-process.ts";
import { http, logFolder, missing, terminate } from "./log-lines.ts";

const SECRET = "s3cr3t-token-of-nobody";
const LINES = Array.from({ length: 500 }, (_, number) => `line ${number}`);
const text = (lines: readonly string[]) => lines.map((line) => `${line}\n`).join("");

function openHome(to: readonly unknown[]): SidecarHome & { readonly log: string } {
  const home = new SidecarHome();
  const log = join(logFolder(home), "app.log");
  home.configure({ app: { kind: "logs", files: [log], to } });
  return Object.assign(home, { log });
}

async function deadLetters(home: SidecarHome): Promise<readonly DeadLetter[]> {
  const { code, stdout } = await home.ask("dead-letters", "ls", "-o", "json");
  expect(code).toBe(0);
  return JSON.parse(stdout) as DeadLetter[];
}

const FAULTS: Readonly<Record<string, Fault>> = {
  "too-many": { status: 429, headers: { "retry-after": "2" }, body: SECRET },
  error: { status: 500, body: SECRET },
  unauthorized: { status: 401, body: SECRET },
  "not-found": { status: 404 },
  redirect: { status: 302, headers: { location: "http://does-not-exist.invalid/" } },
  garbage: "garbage",
  endless: "endless",
  cut: "cut",
  hanging: "hang",
};

test("receivers with all kinds of faults get every line later, and the status says what is wrong meanwhile", async () => {
  await using home = openHome([]);
  const token = join(home.path, "token");
  writeFileSync(token, `${SECRET}\n`);
  await using receivers = new AsyncDisposableStack();
  const sinks = new Map<string, RecordSink>();
  for (const [name, fault] of Object.entries(FAULTS)) {
    const sink = receivers.use(await RecordSink.start());
    sink.server.outage = fault;
    sinks.set(name, sink);
  }
  const auth = { bearer: { file: token } };
  const sidecars = [...sinks].map(([name, { server }]) => [
    name,
    { kind: "logs", files: [home.log], to: [http(server, { timeout: "300ms", auth })] },
  ]);
  home.configure(Object.fromEntries(sidecars));
  writeFileSync(home.log, text(LINES));
  const running = home.start();
  for (const [name, { server, counts }] of sinks) {
    const { cause } = await home.until(name, ({ health }) => health === "degraded");
    expect({ name, ...cause }).toEqual({
      name,
      code: expect.stringMatching(/^E_SINK_/),
      message: expect.stringContaining(`127.0.0.1:${server.port}`),
      fix: expect.stringMatching(/^[A-Z]/),
    });
    expect(counts.size).toBe(0);
  }
  const told = await home.ask("status");
  expect(told.stdout).toContain("  fix: ");
  for (const { server } of sinks.values()) server.outage = undefined;
  for (const [name, sink] of sinks) {
    expect({ name, missing: await missing(sink, LINES) }).toEqual({ name, missing: [] });
    await home.until(name, ({ health, undelivered }) => health === "ready" && undelivered?.records === 0);
    expect(sink.server.requests.map(({ headers }) => headers["authorization"])).toContain(`Bearer ${SECRET}`);
  }
  expect(await deadLetters(home)).toEqual([]);
  const { code, stderr } = await terminate(running);
  expect({ code, hasSecret: `${stderr}${told.stdout}`.includes(SECRET) }).toEqual({
    code: 0,
    hasSecret: false,
  });
}, 30_000);

describe("a receiver", () => {
  test("that takes small bodies only gets the lines in smaller ones", async () => {
    const received = new Set<string>();
    await using server = await ScriptedServer.start({
      answer: ({ body }) => {
        if (body.length > 4_000) return { status: 413 };
        for (const line of body.trimEnd().split("\n"))
          received.add((JSON.parse(line) as { readonly message: string }).message);
        return { status: 204 };
      },
    });
    await using home = openHome([http(server)]);
    writeFileSync(home.log, text(LINES));
    const { code } = await home.run(["--once"]);
    expect({ code, received: received.size }).toEqual({ code: 0, received: LINES.length });
  });

  test("whose name cannot be resolved or whose port is closed leaves the other one alone", async () => {
    await using sink = await RecordSink.start();
    const closed = await closedPort();
    await using home = openHome([
      http({ url: "http://does-not-exist.invalid/logs" }),
      http({ url: `http://127.0.0.1:${closed}` }),
      http(sink.server),
    ]);
    writeFileSync(home.log, text(LINES));
    const running = home.start();
    expect(await missing(sink, LINES)).toEqual([]);
    const { cause, undelivered } = await home.until("app", ({ health }) => health === "degraded");
    expect(cause).toMatchObject({
      code: "E_SINK_NAME",
      fix: expect.stringContaining("does-not-exist.invalid"),
    });
    expect(undelivered?.records).toBe(2 * LINES.length);
    await using late = await RecordSink.start({ port: closed });
    expect(await missing(late, LINES)).toEqual([]);
    running.kill("SIGKILL");
  });

  test("that refuses one record for good gets all others; the one waits as a dead letter until it is mended", async () => {
    let refuses = true;
    const received: string[] = [];
    const answer = ({ body }: ReceivedRequest): Reply => {
      if (refuses && body.includes("line 250")) return { status: 400, body: "cannot index line" };
      const lines = body.trimEnd().split("\n");
      received.push(...lines.map((line) => (JSON.parse(line) as { readonly message: string }).message));
      return { status: 204 };
    };
    await using server = await ScriptedServer.start({ answer });
    await using home = openHome([http(server)]);
    writeFileSync(home.log, text(LINES));
    const running = home.start();
    await home.until("app", ({ undelivered }) => undelivered?.records === 0 && received.length === 499);
    const letters = await deadLetters(home);
    expect(letters).toMatchObject([
      { sidecar: "app", sink: "http", origin: expect.stringContaining(home.log) },
    ]);
    expect(letters[0]?.reason).toContain("400");
    expect((await home.ask("dead-letters", "ls")).stdout).toContain(letters[0]?.id ?? "no letter");
    refuses = false;
    expect((await home.ask("dead-letters", "replay", "--all")).code).toBe(0);
    while (received.length < LINES.length) await server.whenRequested(server.requests.length + 1);
    expect(received.toSorted()).toEqual(LINES.toSorted());
    while ((await deadLetters(home)).length > 0);
    expect((await terminate(running)).code).toBe(0);
    expect(received).toHaveLength(LINES.length);
  });

  test("that is away for longer than memory and disk buffer last holds the reader up, and nothing is lost", async () => {
    await using sink = await RecordSink.start();
    sink.server.outage = { status: 503 };
    await using home = openHome([]);
    const to = [http(sink.server)];
    home.configure({ app: { kind: "logs", files: [home.log], buffer: "16Mi", to } });
    const lines = Array.from({ length: 30_000 }, (_, number) => `line ${number} ${"x".repeat(1_000)}`);
    const running = home.start();
    for (let from = 0; from < lines.length; from += 1_000)
      appendFileSync(home.log, text(lines.slice(from, from + 1_000)));
    const { details } = await home.until(
      "app",
      ({ undelivered }) => (undelivered?.keptBytes ?? 0) > 2 ** 19 && (undelivered?.bytes ?? 0) > 2 ** 23,
    );
    expect(JSON.stringify(details)).toContain(home.log);
    sink.server.outage = undefined;
    expect(await missing(sink, lines)).toEqual([]);
    expect(sink.duplicates).toEqual([]);
    expect((await terminate(running)).code).toBe(0);
  });
});

/** A port at which nobody listens. */
async function closedPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { readonly port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}
