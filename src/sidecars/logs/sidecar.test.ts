import { expect, test } from "bun:test";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { systemClock } from "../../kernel/clock.ts";
import { Problem } from "../../kernel/problem.ts";
import { FakeHost } from "../../testing/fake-host.ts";
import { RecordingMeter } from "../../testing/recording-meter.ts";
import { handheldContext } from "../../testing/sidecar-context.ts";
import sidecar from "./sidecar.ts";

/** Lets a sidecar do what there is to do; gives the code of the problem that hindered its start. */
async function play(host: FakeHost, config: Readonly<Record<string, unknown>>): Promise<string> {
  const metrics = sidecar.metrics(new RecordingMeter());
  const { context } = handheldContext({ host, metrics, once: true });
  try {
    const running = await sidecar.start(sidecar.config.parse(config), context);
    await running.done;
    return "done";
  } catch (error) {
    return error instanceof Problem ? error.code : String(error);
  }
}

test("a start that fails leaves the folder to the next attempt", async () => {
  using host = new FakeHost({ clock: systemClock });
  const spool = join(host.stateFolder, "spool");
  const config = { fifo: [{ path: join(host.stateFolder, "fifo"), create: true }], to: [{ stdout: {} }] };
  writeFileSync(spool, "");
  expect([await play(host, config), await play(host, config)]).toEqual(["E_SPOOL", "E_SPOOL"]);
  rmSync(spool);
  expect(await play(host, config)).toBe("done");
});

test("what a sidecar writes does not come back to it, whatever its patterns match", async () => {
  using host = new FakeHost({ clock: systemClock });
  const folder = join(host.stateFolder, "a[1]");
  mkdirSync(folder);
  writeFileSync(join(folder, "app.log"), "one\n");
  const out = join(folder, "out.log");
  const config = { files: [`${host.stateFolder}/a*/*`], to: [{ file: { path: out, format: "text" } }] };
  expect([await play(host, config), await play(host, config)]).toEqual(["done", "done"]);
  writeFileSync(`${out}.1`, "renamed\n");
  expect(await play(host, config)).toBe("done");
  expect(readFileSync(out, "utf8")).toBe("one\n");
});

test("logs of two days that hold the same are both delivered", async () => {
  using host = new FakeHost({ clock: systemClock });
  for (const day of ["20260130", "20260131"])
    writeFileSync(join(host.stateFolder, `app-${day}.log`), "started\nstopped\n");
  const config = { files: [join(host.stateFolder, "*.log")], to: [{ stdout: { format: "text" } }] };
  expect(await play(host, config)).toBe("done");
  expect(host.stdout.split("\n").toSorted()).toEqual(["", "started", "started", "stopped", "stopped"]);
});

test("a file whose name is not UTF-8 cannot be opened, and is told of", async () => {
  using host = new FakeHost({ clock: systemClock });
  const name = Buffer.concat([Buffer.from(host.stateFolder), Buffer.from("/caf\xe9.log", "latin1")]);
  writeFileSync(name, "lost?\n");
  const metrics = sidecar.metrics(new RecordingMeter());
  const handheld = handheldContext({ host, metrics });
  const files = [join(host.stateFolder, "*.log")];
  const running = await sidecar.start(
    sidecar.config.parse({ files, to: [{ stdout: {} }] }),
    handheld.context,
  );
  while (host.reports.at(-1)?.state !== "degraded") await new Promise((resolve) => setTimeout(resolve, 20));
  expect(host.reports.at(-1)).toMatchObject({ because: { code: "E_FILE_UNREADABLE" } });
  handheld.stop();
  await running.done;
});
