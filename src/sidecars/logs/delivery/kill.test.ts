/** Real processes, a real receiver, real kills: no record is lost, and each kill costs at most the batch that the next start tells of. */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { randomFrom } from "../../../testing/crash-writer.ts";
import { testFolder } from "./delivery.test-support.ts";

const KILLS = process.env["PILLION_SOAK"] === "1" ? 200 : 20;
const BATCH = 50;
const program = join(import.meta.dir, "kill.test-support.ts");

interface Receiver extends Disposable {
  readonly port: number;
  /** How often each text was acknowledged. */
  readonly seen: Map<string, number>;
  mode: "up" | "down" | "silent" | "flaky";
}

const isHopeless = (text: string) => text.endsWith("77");

/** Counts a text as delivered when it answers so. */
function startReceiver(random: () => number): Receiver {
  const seen = new Map<string, number>();
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request) {
      const texts = (await request.text()).split("\n");
      if (receiver.mode === "down") return new Response("", { status: 503 });
      if (receiver.mode === "silent") return new Promise<Response>(() => undefined);
      const refusals = texts.flatMap((text, index) => {
        if (isHopeless(text)) return [{ index, isRetryable: false, reason: "400" }];
        if (receiver.mode === "flaky" && random() < 0.1) return [{ index, isRetryable: true, reason: "429" }];
        seen.set(text, (seen.get(text) ?? 0) + 1);
        return [];
      });
      return Response.json(refusals);
    },
  });
  const receiver: Receiver = {
    port: server.port ?? 0,
    seen,
    mode: "up",
    [Symbol.dispose]: () => void server.stop(true),
  };
  return receiver;
}

/** Runs the program until it ends or is killed so many milliseconds after it was ready; gives what it printed. */
async function live(
  folder: string,
  receiver: Receiver,
  { killAfterMs, last }: { killAfterMs?: number; last: number },
) {
  const child = Bun.spawn([process.execPath, program, folder, String(receiver.port), String(last)], {
    stdout: "pipe",
    stderr: "inherit",
  });
  let text = "";
  let timer: ReturnType<typeof setTimeout> | undefined;
  for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    if (killAfterMs !== undefined && text.includes("ready")) {
      timer ??= setTimeout(() => child.kill("SIGKILL"), killAfterMs);
    }
  }
  clearTimeout(timer);
  await child.exited;
  return { lines: text.trim().split("\n"), signal: child.signalCode };
}

function twiceIn(lines: readonly string[]): number[] {
  return lines.filter((line) => line.startsWith("twice ")).map((line) => Number(line.slice(6)));
}

test(
  `${KILLS} kills with outages in between lose no record and cost what is told`,
  async () => {
    const seed = Number(process.env["PILLION_SEED"] ?? Date.now() % 2 ** 31);
    const random = randomFrom(seed);
    using folder = testFolder();
    using receiver = startReceiver(random);
    const told: number[] = [];
    const modes = ["up", "up", "down", "silent", "flaky"] as const;
    for (let kill = 1; kill <= KILLS; kill += 1) {
      receiver.mode = modes[Math.floor(random() * modes.length)] ?? "up";
      const change = setTimeout(
        () => (receiver.mode = modes[Math.floor(random() * modes.length)] ?? "up"),
        random() * 150,
      );
      const { lines, signal } = await live(folder.path, receiver, { killAfterMs: random() * 150, last: 0 });
      clearTimeout(change);
      expect([`PILLION_SEED=${seed}, kill ${kill}`, signal]).toEqual([
        `PILLION_SEED=${seed}, kill ${kill}`,
        "SIGKILL",
      ]);
      told.push(...twiceIn(lines));
    }
    receiver.mode = "up";
    const numbers = [...receiver.seen.keys()].map((text) => Number(text.slice(2)));
    const last = Math.max(0, ...numbers) + 1_000;
    const { lines, signal } = await live(folder.path, receiver, { last });
    told.push(...twiceIn(lines));
    const { read, letters } = JSON.parse(lines.at(-1) ?? "") as { read: number[]; letters: string[] };
    const missing = ["a", "b", "c"].flatMap((key, at) =>
      Array.from({ length: read[at] ?? 0 }, (_, index) => `${key}:${index + 1}`).filter(
        (text) => !(isHopeless(text) ? letters.includes(text) : receiver.seen.has(text)),
      ),
    );
    let twice = 0;
    for (const times of receiver.seen.values()) twice += times - 1;
    const allowed = told.reduce((sum, count) => sum + count, 0);
    const context = `PILLION_SEED=${seed}: ${receiver.seen.size} records, ${twice} twice, ${allowed} told, ${letters.length} letters`;
    expect([context, signal, missing, twice <= allowed, told.every((count) => count <= BATCH)]).toEqual([
      context,
      null,
      [],
      true,
      true,
    ]);
    if (process.env["PILLION_SOAK"] === "1") console.log(context);
  },
  KILLS * 2_000,
);
