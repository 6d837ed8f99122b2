/** What real programs write, from the file to the record: traces, container runtimes, nginx. */
import { describe, expect, test } from "bun:test";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { followProcess } from "../../src/testing/pillion.ts";
import type { ReceivedRecord } from "../../src/testing/record-sink.ts";
import { SidecarHome } from "../../src/testing/sidecar-process.ts";
import { logFolder } from "./log-lines.ts";

const NGINX = Bun.which("nginx", { PATH: `${process.env["PATH"]}:/usr/sbin:/sbin` });

const TRACE = `2026-11-21T10:00:01.123+01:00 ERROR request failed
java.lang.IllegalStateException: no session
	at com.example.Shop.cart(Shop.java:42)
	at com.example.Shop.main(Shop.java:7)
	Suppressed: java.io.IOException: closed
		at com.example.Shop.close(Shop.java:99)
Caused by: java.net.ConnectException: refused
	at java.base/sun.nio.ch.Net.connect(Net.java:579)
	... 2 more`;

/** Reads what there is with this configuration; the records as they come out. */
async function recordsOf(home: SidecarHome, sidecar: Readonly<Record<string, unknown>>) {
  home.configure({ app: { kind: "logs", to: [{ stdout: {} }], ...sidecar } });
  const { code, stdout, stderr } = await home.run(["--once"]);
  expect({ code, errors: stderr.match(/"level":"(?:warn|error)".*/g) }).toEqual({ code: 0, errors: null });
  return stdout
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line) as ReceivedRecord);
}

describe("Java traces", () => {
  const before = "2026-11-21T10:00:00.000+01:00 INFO started";
  const after = "2026-11-21T10:00:02.000+01:00 INFO goes on";
  const text = `${[before, TRACE, after, TRACE].join("\r\n").replaceAll(/(?<!\r)\n/g, "\r\n")}\r\n`;
  const plain = (message: unknown) => String(message).replaceAll("\r\n", "\n");

  test("are one event each, from the exception to the last cause", async () => {
    await using home = new SidecarHome();
    const log = join(logFolder(home), "app.log");
    writeFileSync(log, text);
    const records = await recordsOf(home, { files: [log], multiline: "java" });
    const [first = "", ...others] = TRACE.split("\n");
    const trace = others.join("\n");
    expect(records.map(({ message }) => plain(message))).toEqual([before, first, trace, after, first, trace]);
  });

  test("go with the line that was logged where lines are known by how they begin", async () => {
    await using home = new SidecarHome();
    const log = join(logFolder(home), "app.log");
    writeFileSync(log, text);
    const records = await recordsOf(home, {
      files: [log],
      multiline: { start: "^\\d{4}-\\d\\d-\\d\\dT" },
      parse: { regex: "^(?<time>\\S+) (?<level>[A-Z]+) (?s:(?<message>.*))$" },
    });
    const trace = TRACE.split(" ").slice(2).join(" ");
    const told = records.map(({ time, level, message }) => ({ time, level, message: plain(message) }));
    expect(told).toEqual([
      { time: "2026-11-21T10:00:00.000+01:00", level: "INFO", message: "started" },
      { time: "2026-11-21T10:00:01.123+01:00", level: "ERROR", message: trace },
      { time: "2026-11-21T10:00:02.000+01:00", level: "INFO", message: "goes on" },
      { time: "2026-11-21T10:00:01.123+01:00", level: "ERROR", message: trace },
    ]);
  });
});

test("a container runtime's files: parts are joined by stream, and traces after that", async () => {
  await using home = new SidecarHome();
  const folder = join(logFolder(home), "default_shop-1_uid", "app");
  mkdirSync(folder, { recursive: true });
  const log = join(folder, "0.log");
  const wrapped = (second: number, stream: string, tag: string, text: string) =>
    `2026-11-21T10:00:0${second}.123456789Z ${stream} ${tag} ${text}\n`;
  const [first = "", ...others] = TRACE.split("\n").slice(1);
  writeFileSync(
    log,
    [
      wrapped(0, "stdout", "F", "one"),
      wrapped(1, "stdout", "P", "out a,"),
      wrapped(1, "stderr", "P", first.slice(0, 20)),
      wrapped(2, "stdout", "P", "out b,"),
      wrapped(2, "stderr", "F", first.slice(20)),
      wrapped(3, "stdout", "F", "out c"),
      ...others.map((line) => wrapped(3, "stderr", "F", line)),
      wrapped(4, "stdout", "F", "last"),
    ].join(""),
  );
  const records = await recordsOf(home, { files: [join(folder, "*.log")], cri: true, multiline: "java" });
  const told = records.map(({ time, stream, message }) => ({ time, stream, message }));
  expect(told.filter(({ stream }) => stream === "stdout")).toEqual([
    { time: "2026-11-21T10:00:00.123456789Z", stream: "stdout", message: "one" },
    { time: "2026-11-21T10:00:01.123456789Z", stream: "stdout", message: "out a,out b,out c" },
    { time: "2026-11-21T10:00:04.123456789Z", stream: "stdout", message: "last" },
  ]);
  expect(told.filter(({ stream }) => stream === "stderr")).toEqual([
    { time: "2026-11-21T10:00:01.123456789Z", stream: "stderr", message: [first, ...others].join("\n") },
  ]);
});

describe.skipIf(NGINX === null)("nginx", () => {
  test("access and error log of a real one: every field is right", async () => {
    await using home = new SidecarHome();
    const folder = logFolder(home);
    const port = await freePort();
    const config = join(home.path, "nginx.conf");
    writeFileSync(config, nginxConfig(home.path, folder, port));
    const nginx = followProcess(
      Bun.spawn([NGINX ?? "", "-p", home.path, "-c", config, "-e", join(folder, "error.log")], {
        stdio: ["ignore", "pipe", "pipe"],
      }),
    );
    const url = `http://127.0.0.1:${port}`;
    await untilAnswered(url);
    const agent = { "user-agent": 'curl "quoted" \\ agent', referer: "https://example.com/?a=b" };
    expect((await fetch(`${url}/ok?page=1`, { headers: agent })).status).toBe(200);
    expect((await fetch(`${url}/missing%20file`, { method: "POST" })).status).toBe(404);
    nginx.kill("SIGQUIT");
    await nginx.exited;
    const common = { to: [{ stdout: {} }] };
    const access = await recordsOf(home, { ...common, files: [join(folder, "access.log")], parse: "nginx" });
    const [ok, missing] = access.filter(({ path }) => path !== "/");
    expect(ok).toEqual({
      time: expect.stringMatching(/^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.000)?(?:Z|[+-]\d\d:\d\d)$/),
      file: join(folder, "access.log"),
      client: "127.0.0.1",
      method: "GET",
      path: "/ok?page=1",
      protocol: "HTTP/1.1",
      status: 200,
      bytes: 5,
      referer: "https://example.com/?a=b",
      userAgent: 'curl "quoted" \\ agent',
    });
    expect(missing).toMatchObject({ method: "POST", path: "/missing%20file", status: 404 });
    const errors = await recordsOf(home, {
      ...common,
      files: [join(folder, "error.log")],
      parse: "nginx-error",
    });
    expect(errors.filter(({ parseError }) => parseError !== undefined)).toEqual([]);
    expect(errors.find(({ client }) => client !== undefined)).toMatchObject({
      level: "error",
      pid: expect.any(Number),
      connection: expect.any(Number),
      message: expect.stringContaining('missing file" failed (2: No such file or directory)'),
      client: "127.0.0.1",
      server: "shop.example",
      request: "POST /missing%20file HTTP/1.1",
      host: `127.0.0.1:${port}`,
    });
    expect(readFileSync(join(folder, "error.log"), "utf8").trimEnd().split("\n")).toHaveLength(errors.length);
  });
});

function nginxConfig(home: string, folder: string, port: number): string {
  const scratch = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    .map((name) => `${name}_temp_path ${join(home, name)};`)
    .join(" ");
  return `daemon off;
master_process off;
pid ${join(home, "nginx.pid")};
events {}
http {
  ${scratch}
  access_log ${join(folder, "access.log")} combined;
  server {
    listen 127.0.0.1:${port};
    server_name shop.example;
    root ${home};
    location = / { return 204; }
    location = /ok { return 200 "hello"; }
  }
}
`;
}

/** One that was free just now. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { readonly port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function untilAnswered(url: string): Promise<void> {
  for (;;) {
    try {
      await fetch(url);
      return;
    } catch {
      await Bun.sleep(5);
    }
  }
}
