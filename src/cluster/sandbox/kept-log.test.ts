import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  closeSync,
  constants,
  existsSync,
  mkdtempSync,
  openSync,
  writeSync,
  readdirSync,
  readFileSync,
  rmSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { engineCommand, type EngineTask, streamTexts } from "./kept-log.test-support.ts";

const TEST_MS = 60_000;
const isSoak = process.env["PILLION_SOAK"] === "1";
const LINES = isSoak ? 400_000 : 200_000;
const KILLS = isSoak ? 100 : 10;

let folder = "";
let logPath = "";
let holder: number | undefined;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "kept-log-"));
  logPath = join(folder, "log/0.log");
});
afterEach(() => {
  if (holder !== undefined && existsSync(`/proc/${holder}`)) process.kill(holder, "SIGKILL");
  holder = undefined;
  rmSync(folder, { recursive: true, force: true });
});

type Adopted = NonNullable<EngineTask["adopt"]>;

async function startEngine(more: Pick<EngineTask, "argv" | "adopt">) {
  const engine = Bun.spawn(engineCommand({ folder, logPath, ...more }), {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const reader = engine.stdout.getReader();
  const { value } = await reader.read();
  const adopt = JSON.parse(Buffer.from(value ?? []).toString()) as Adopted;
  holder = adopt.holder;
  return {
    adopt,
    /** False when it had ended by itself. */
    async kill() {
      engine.kill("SIGKILL");
      return (await engine.exited) !== 0;
    },
    exited: engine.exited,
  };
}

/** Numbers from 1 on, of a program that prints as fast as it can: each once, in order. */
function expectAll(stream: string, count: number): void {
  const texts = streamTexts(logPath, stream);
  const wrong = texts.findIndex((text, index) => text !== String(index + 1));
  expect({ wrong, around: texts.slice(Math.max(0, wrong - 2), wrong + 3) }).toEqual({
    wrong: -1,
    around: texts.slice(0, 2),
  });
  expect(texts).toHaveLength(count);
}

describe("a kept log", () => {
  test(
    "has every line of both streams once, however often engines are killed in the middle",
    async () => {
      // In blocks that end anywhere, and on two streams at once.
      const argv = [`seq 1 ${LINES} & seq 1 ${LINES} >&2 & wait; printf tail`];
      let engine = await startEngine({ argv });
      const { adopt } = engine;
      const seed = Number(process.env["PILLION_SEED"] ?? Date.now() % 1_000_000);
      let random = seed;
      for (let kill = 0; kill < KILLS; kill++) {
        random = (random * 1_103_515_245 + 12_345) % 2 ** 31;
        await Bun.sleep(random % 12);
        if (!(await engine.kill())) break;
        engine = await startEngine({ adopt });
      }
      expect({ seed, code: await engine.exited }).toEqual({ seed, code: 0 });
      const texts = streamTexts(logPath, "stdout");
      expect({ seed, last: texts.at(-1), count: texts.length }).toEqual({
        seed,
        last: "tail",
        count: LINES + 1,
      });
      expectAll("stderr", LINES);
      expect(texts.slice(0, -1).every((text, index) => text === String(index + 1))).toBe(true);
      expect(readdirSync(folder)).toEqual(["log"]);
    },
    TEST_MS,
  );

  test(
    "has what a container wrote that began and ended while no engine ran",
    async () => {
      const argv = [
        `read line <${join(folder, "go")}; echo $line; echo one; echo two >&2; printf 'half '; sleep 0.05; echo line`,
      ];
      await Bun.$`mkfifo ${join(folder, "go")}`;
      const engine = await startEngine({ argv });
      await engine.kill();
      const go = openSync(join(folder, "go"), constants.O_RDWR);
      writeSync(go, "begin\n");
      while (
        existsSync(`/proc/${engine.adopt.pid}`) &&
        !readFileSync(`/proc/${engine.adopt.pid}/stat`, "utf8").includes(") Z ")
      )
        await Bun.sleep(2);
      closeSync(go);
      rmSync(join(folder, "go"));
      const next = await startEngine({ adopt: engine.adopt });
      expect(await next.exited).toBe(0);
      expect(streamTexts(logPath, "stdout")).toEqual(["begin", "one", "half line"]);
      expect(streamTexts(logPath, "stderr")).toEqual(["two"]);
    },
    TEST_MS,
  );

  test(
    "splits long lines as other logs do, and does not wait for the end of one that never ends",
    async () => {
      const argv = [
        "head -c 16384 /dev/zero | tr '\\0' a; echo; head -c 40000 /dev/zero | tr '\\0' b; echo; echo; printf 1; sleep 0.02; printf 2; sleep 0.02; echo 3",
      ];
      const engine = await startEngine({ argv });
      expect(await engine.exited).toBe(0);
      const lines = readFileSync(logPath, "utf8").split("\n").slice(0, -1);
      expect(
        lines
          .map((line) => line.split(" ").slice(2))
          .map(([flag, text = ""]) => `${flag} ${text[0]} ${text.length}`),
      ).toEqual(["F a 16384", "P b 16384", "P b 16384", "F b 7232", "F undefined 0", "F 1 3"]);
    },
    TEST_MS,
  );
});
