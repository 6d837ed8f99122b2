/** Files that are rotated while an application writes 20,000 lines a second: by a real logrotate, and by Pillion. */
import { describe, expect, test } from "bun:test";
import { chmodSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { REPORT_LINES, type WritingWay, writtenLine } from "../../src/testing/log-writer.ts";
import type { Running } from "../../src/testing/pillion.ts";
import { RecordSink } from "../../src/testing/record-sink.ts";
import { SidecarHome } from "../../src/testing/sidecar-process.ts";
import { diskUse, http, linesIn, logFolder, missing, startWriter, terminate } from "./log-lines.ts";

const RATE = 20_000;
const SECONDS = process.env["PILLION_SOAK"] === "1" ? 30 : 2;
const LINES = RATE * SECONDS;
const LOGROTATE = Bun.which("logrotate", { PATH: `${process.env["PATH"]}:/usr/sbin:/sbin` });

/** Calls back whenever the writer has got further, until it is done. */
async function whileWriting(writer: Running, act: () => Promise<void> | void): Promise<void> {
  for (let written = REPORT_LINES; written < LINES; written += REPORT_LINES) {
    await writer.line(new RegExp(`^${written}$`));
    await act();
  }
  expect(await writer.exited).toMatchObject({ code: 0, stderr: "" });
}

describe.skipIf(LOGROTATE === null)("logrotate", () => {
  test.each([
    ["create and compress", "signal", ["create", "compress"]],
    ["create, for an application that opens by name", "name", ["create", "compress", "delaycompress"]],
    ["copytruncate", "keep", ["copytruncate"]],
    [
      "copytruncate, compress and dateext",
      "keep",
      ["copytruncate", "compress", "dateext", "dateformat -%Y%m%d-%s"],
    ],
  ] as const)("with %s leaves no line behind that does not arrive", async (_, way, directives) => {
    await using home = new SidecarHome();
    await using sink = await RecordSink.start();
    const folder = logFolder(home);
    const path = join(folder, "app.log");
    home.configure({ app: { kind: "logs", files: [`${path}*`], to: [http(sink.server)] } });
    const running = home.start();
    const writer = startWriter({ path, way, rate: RATE, lines: LINES });
    let rotations = 0;
    const rotate = logrotate(home, { path, directives, ...(way === "signal" ? { pid: writer.pid } : {}) });
    await whileWriting(writer, async () => void (rotations += (await rotate()) ? 1 : 0));
    expect(rotations).toBeGreaterThan(0);
    expect(readdirSync(folder).length).toBeGreaterThan(1);
    const left = linesIn(folder);
    // Where nothing is copied, logrotate itself loses nothing.
    if (way === "name") expect(left.size).toBe(LINES);
    expect(await missing(sink, left)).toEqual([]);
    const { code, stderr } = await terminate(running);
    expect({ code, errors: stderr.match(/"level":"error"/g) }).toEqual({ code: 0, errors: null });
    const twice = sink.duplicates.length;
    console.log(`${left.size} lines left behind, ${twice} arrived twice`);
    // A compressed copy of what was emptied meanwhile is not always recognised: then it is delivered rather than left out.
    if (way !== "keep" || directives.length === 1) expect({ twice }).toEqual({ twice: 0 });
  });
});

interface Rotation {
  readonly path: string;
  readonly directives: readonly string[];
  /** To be told by SIGUSR1. */
  readonly pid?: number;
}

/** A function that makes logrotate rotate now; it resolves with whether it did. */
function logrotate(home: SidecarHome, { path, directives, pid }: Rotation): () => Promise<boolean> {
  const config = join(home.path, "logrotate.conf");
  const told = pid === undefined ? [] : ["postrotate", `kill -USR1 ${pid}`, "endscript"];
  writeFileSync(config, [`${path} {`, "rotate 1000", ...directives, ...told, "}", ""].join("\n"));
  chmodSync(config, 0o644);
  return async () => {
    const argv = [LOGROTATE ?? "", "--force", "--state", join(home.path, "logrotate.state"), config];
    const child = Bun.spawn(argv, { stdio: ["ignore", "ignore", "pipe"] });
    const [code, stderr] = await Promise.all([child.exited, child.stderr.text()]);
    // With dates as names it can rotate once a second only, and says so.
    if (code !== 0 && !stderr.includes("already exists")) throw new Error(stderr);
    return code === 0;
  };
}

describe.concurrent("Pillion as the one who rotates", () => {
  test.each([
    ["rename", "name"],
    ["hole", "keep"],
  ] as const satisfies readonly (readonly [string, WritingWay])[])(
    "by %s loses no line and keeps the disk use bounded",
    async (by, way) => {
      await using home = new SidecarHome();
      await using sink = await RecordSink.start();
      const folder = logFolder(home);
      const path = join(folder, "app.log");
      const rotate = { size: "256Ki", by };
      home.configure({ app: { kind: "logs", files: [path], rotate, to: [http(sink.server)] } });
      const running = home.start();
      const writer = startWriter({ path, way, rate: RATE, lines: LINES });
      let most = 0;
      await whileWriting(writer, () => void (most = Math.max(most, diskUse(folder))));
      const lines = Array.from({ length: LINES }, (_, number) => writtenLine(number));
      expect(await missing(sink, lines)).toEqual([]);
      // Holes are made while the writer goes on; renamed files go when they have been quiet for some seconds.
      if (by === "hole") expect(most).toBeLessThan((2 * RATE + 10_000) * writtenLine(0).length);
      while (diskUse(folder) > 2 ** 21) await Bun.sleep(20);
      const { code, stderr } = await terminate(running);
      expect({ code, errors: stderr.match(/"level":"error"/g) }).toEqual({ code: 0, errors: null });
      expect({ twice: sink.duplicates.length }).toEqual({ twice: 0 });
    },
  );
});
