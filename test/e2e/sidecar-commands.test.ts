/** The commands around `pillion run`, with real processes: each word that a probe, a hook or a person would type. */
import { describe, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { RuntimeStatus } from "../../src/runtime/view.ts";
import { EXAMPLE_MAIN, SidecarHome } from "../../src/testing/sidecar-process.ts";

const well = { kind: "example", say: "hello" };
const broken = { kind: "example", say: "hello", fail: "no reason" };

function openHome(sidecars: Readonly<Record<string, unknown>>, more?: Readonly<Record<string, unknown>>) {
  const home = new SidecarHome(EXAMPLE_MAIN);
  home.configure(sidecars, more);
  return home;
}

async function portOf(running: { line(pattern: RegExp): Promise<string> }): Promise<number> {
  const { fields } = JSON.parse(await running.line(/"Listening"/)) as { fields: { port: number } };
  return fields.port;
}

describe("pillion run", () => {
  test("--check says that a file is fine, or every mistake, and starts nothing", async () => {
    await using home = openHome({ one: well, two: well });
    expect(await home.run(["--check"])).toEqual({
      code: 0,
      stdout: `"${home.config}" is fine: one (example), two (example)\n`,
      stderr: "",
    });
    home.configure({ one: { kind: "exampel" }, Two: well });
    const { code, stdout, stderr } = await home.run(["--check"]);
    expect([code, stdout, existsSync(home.state)]).toEqual([1, "", false]);
    expect(stderr).toStartWith(
      `error[E_CONFIG_INVALID]: Cannot use the configuration "${home.config}": it has 2 mistakes\n\n${home.config}:9:15  sidecars.one.kind\n`,
    );
    expect(stderr).toContain('Unknown kind "exampel"; did you mean "example"?');
  });

  test.each([
    [["run"], 2, "no configuration is given"],
    [["run", "pillion.yaml"], 2, 'Cannot use "pillion.yaml"'],
    [["run", "-c", "missing.yaml"], 1, "there is no such file"],
    [["run", "-c", "x", "--port", "99999"], 2, 'Cannot listen on port "99999"'],
    [["run", "-c", "x", "--port", "-1"], 2, ""],
    [["run", "-c", "x", "--unknown"], 2, "Unknown option '--unknown'"],
  ] as const)("%j ends with exit code %d", async (args, code, words) => {
    await using home = openHome({ one: well });
    const finished = await home.command(...args);
    expect({ ...finished, hasWords: finished.stderr.includes(words) }).toMatchObject({
      code,
      stdout: "",
      hasWords: true,
    });
  });

  test("--once does what there is to do, and fails when a sidecar does", async () => {
    await using home = openHome({ one: well });
    expect(await home.run(["--once"])).toMatchObject({ code: 0, stdout: "" });
    home.configure({ one: well, two: broken });
    const { code, stderr } = await home.run(["--once"]);
    expect([code, stderr.split("\n").slice(-3)]).toEqual([
      1,
      [
        "error[E_EXAMPLE]: Cannot start the example: no reason",
        "  fix: Take `fail` out of its configuration",
        "",
      ],
    ]);
  });

  test("lets the command line win over the file", async () => {
    await using home = openHome(
      { one: well },
      { admin: { port: 1, socket: "/nowhere/x" }, state: "/proc/nowhere" },
    );
    const running = home.start(["--port", "0", "--socket", home.socket, "--state", home.state]);
    const port = await portOf(running);
    await home.until("one", ({ health }) => health === "ready");
    expect(await (await fetch(`http://127.0.0.1:${port}/readyz`)).text()).toBe("ok\n");
    expect(existsSync(join(home.state, "one"))).toBe(true);
    running.kill("SIGTERM");
    expect((await running.exited).code).toBe(0);
    expect(existsSync(home.socket)).toBe(false);
  });

  test("refuses a port and a socket that are taken, and a state folder that cannot be made", async () => {
    await using home = openHome({ one: well });
    const running = home.start();
    const port = await portOf(running);
    const second = ["run", "-c", home.config, "--port", String(port)];
    expect((await home.ask(...second)).stderr).toStartWith(
      `error[E_PORT_TAKEN]: Cannot listen on the admin port ${port}: another process has it\n  fix: Set \`admin.port\``,
    );
    expect((await home.ask("run", "-c", home.config)).stderr).toStartWith("error[E_SOCKET_TAKEN]: ");
    writeFileSync(join(home.path, "file"), "");
    await using other = openHome({ one: well }, { state: join(home.path, "file/state") });
    const { cause } = await startedWith(other, "one");
    expect(cause?.code).toBe("E_STATE_FOLDER");
    expect(cause?.fix).toContain("`state`");
  });
});

async function startedWith(home: SidecarHome, name: string) {
  home.start();
  return await home.until(name, (status) => status.cause !== undefined);
}

describe("a running process", () => {
  test("answers ready and started by exit code, and says why not", async () => {
    await using home = openHome({ good: well, bad: broken, silent: { ...broken, gates: "none" } });
    home.start();
    await home.until("bad", ({ restarts }) => restarts > 0);
    expect(await home.ask("ready")).toEqual({
      code: 1,
      stdout: "",
      stderr: "not ready\n  bad: Cannot start the example: no reason\n",
    });
    expect(await home.ask("ready", "--started")).toEqual({ code: 0, stdout: "started\n", stderr: "" });
    home.configure({ good: well });
    await home.until("good", () => true);
    let code = 1;
    while (code !== 0) code = (await home.ask("ready")).code;
  });

  test("shows its status to people and to programs", async () => {
    await using home = openHome({ good: well, bad: broken });
    home.start();
    await home.until("bad", ({ restarts }) => restarts > 0);
    const { stdout } = await home.ask("status");
    const lines = stdout.split("\n").map((line) => line.trimEnd());
    expect(lines[0]).toMatch(/^pillion \d+\.\d+\.\d+, running, since 20/);
    expect(lines.slice(2, 5).map((line) => line.replaceAll(/ {2,}/g, "|"))).toEqual([
      "SIDECAR|KIND|STATE|HEALTH|RESTARTS|UNDELIVERED|CAUSE",
      "good|example|running|ready|0|0",
      expect.stringMatching(/^bad\|example\|(?:backing-off|starting)\|failing\|\d+\|E_EXAMPLE$/),
    ]);
    expect(stdout).toContain(
      "error[E_EXAMPLE]: Cannot start the example: no reason\n  fix: Take `fail` out of its configuration\n",
    );
    const json = await home.ask("status", "-o", "json");
    const status = JSON.parse(json.stdout) as RuntimeStatus;
    expect(status.sidecars.map(({ name, details }) => ({ name, details }))).toEqual([
      { name: "good", details: { say: "hello" } },
      { name: "bad", details: undefined },
    ]);
  });

  test("tells that a changed file was refused, and goes on with the last good one", async () => {
    await using home = openHome({ good: well });
    home.start();
    await home.until("good", ({ health }) => health === "ready");
    writeFileSync(home.config, "sidecars: [");
    let text = "";
    while (!text.includes("refused")) text = (await home.ask("status")).stdout;
    expect(text).toContain("the configuration file was refused at ");
    expect(text).toContain("error[E_CONFIG_SYNTAX]: ");
    expect((await home.ask("ready")).code).toBe(0);
  });

  test("hurries with prestop and ends with quit", async () => {
    await using home = openHome({ good: well });
    const running = home.start();
    await home.until("good", ({ health }) => health === "ready");
    expect(await home.ask("prestop", "--wait", "--grace", "30s")).toEqual({
      code: 0,
      stdout: "",
      stderr: "",
    });
    expect((await home.status())?.phase).toBe("hurrying");
    expect((await home.ask("prestop", "--grace", "soon")).code).toBe(2);
    expect(await home.ask("quit")).toEqual({ code: 0, stdout: "", stderr: "" });
    expect((await running.exited).code).toBe(0);
  });

  test("lists dead letters and sends them again", async () => {
    await using home = openHome({ good: well });
    home.start();
    await home.until("good", ({ health }) => health === "ready");
    const { stdout } = await home.ask("dead-letters", "ls");
    expect(stdout.split("\n").map((line) => line.replaceAll(/ {2,}/g, "|"))).toEqual([
      "SIDECAR|ID|SINCE|SINK|REASON|ORIGIN",
      "good|1|2026-01-01T00:00:00Z|http|HTTP 400: no\u{FFFD}[31m time|/a@0",
      "good|2|2026-01-01T00:00:01Z|http|HTTP 413|/a@9",
      "",
    ]);
    const json = JSON.parse((await home.ask("dead-letters", "ls", "-o", "json")).stdout) as { id: string }[];
    expect(json.map(({ id }) => id)).toEqual(["1", "2"]);
    expect((await home.ask("dead-letters", "replay")).code).toBe(2);
    expect((await home.ask("dead-letters", "replay", "1", "--all")).code).toBe(2);
    expect((await home.ask("dead-letters", "replay", "--all", "--sidecar", "god")).stderr).toContain(
      "fix: Did you mean `--sidecar good`?",
    );
    expect((await home.ask("dead-letters", "replay", "1", "99")).stdout).toBe(
      "1 record is on the way again\n",
    );
    expect((await home.ask("dead-letters", "replay", "--all", "-o", "json")).stdout).toBe('{"queued":1}\n');
    expect(await home.ask("dead-letters", "ls")).toEqual({
      code: 0,
      stdout: "",
      stderr: "no dead letters\n",
    });
    expect((await home.ask("dead-letters", "ls", "-o", "json")).stdout).toBe("[]\n");
  });
});

describe("without a running process", () => {
  const commands = [
    ["ready"],
    ["status"],
    ["prestop"],
    ["quit"],
    ["dead-letters", "ls"],
    ["dead-letters", "replay", "--all"],
  ];

  test.each(commands)("pillion %s says so", async (...args) => {
    await using home = openHome({ good: well });
    const missing = await home.ask(...args);
    expect(missing).toEqual({
      code: 1,
      stdout: "",
      stderr: `error[E_NOT_RUNNING]: Cannot reach Pillion at "${home.socket}": there is no such socket\n  fix: Start it with \`pillion run -c FILE\`, or name its socket with \`--socket PATH\`\n`,
    });
  });

  test("tells a killed process from one that never ran, and other things from sockets", async () => {
    await using home = openHome({ good: well });
    const running = home.start();
    await home.until("good", () => true);
    running.kill("SIGKILL");
    await running.exited;
    expect((await home.ask("ready")).stderr).toContain(`"${home.socket}": nobody answers on it`);
    const again = home.start();
    await again.line(/"Listening"/);
    await home.until("good", ({ health }) => health === "ready");
    expect((await home.ask("ready")).code).toBe(0);
    rmSync(home.socket);
    writeFileSync(home.socket, "no socket");
    expect(await home.ask("status")).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("E_NOT_RUNNING"),
    });
    expect(readFileSync(home.socket, "utf8")).toBe("no socket");
  });

  test.skipIf(process.getuid?.() === 0)("says when another user's socket is out of reach", async () => {
    await using home = openHome({ good: well });
    mkdirSync(join(home.path, "closed"), { mode: 0o700 });
    chmodSync(join(home.path, "closed"), 0o000);
    const { stderr } = await home.command("ready", "--socket", join(home.path, "closed/control.sock"));
    chmodSync(join(home.path, "closed"), 0o700);
    expect(stderr).toStartWith("error[E_SOCKET_DENIED]: ");
  });
});

describe("pillion schema", () => {
  test("prints a schema for the file, or for one kind", async () => {
    await using home = openHome({ good: well });
    const schemaOf = async (...args: string[]) =>
      JSON.parse((await home.command("schema", ...args)).stdout) as Record<string, unknown>;
    expect(await schemaOf()).toMatchObject({ title: "Pillion configuration", required: ["sidecars"] });
    expect(await schemaOf("example")).toMatchObject({
      title: "Pillion sidecar of kind example",
      required: ["say", "kind"],
    });
    expect((await home.command("schema", "exampel")).stderr).toContain(
      "fix: Did you mean `pillion schema example`?",
    );
  });
});
