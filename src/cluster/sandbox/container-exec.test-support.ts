/** What the tests of exec share: a container to run programs in, and their output as text. */
import { readdirSync } from "node:fs";
import type { TestSpec, TestWorld } from "./container.test-support.ts";
import type { ExecProcess, ExecSpec } from "./process-io.ts";
import type { RunningContainer } from "./sandbox.ts";

const SIGKILL = 9;
/** Process 1 of containers that only wait. */
const WAIT = ["sleep", "1000"];

export async function inContainer<Result>(
  world: TestWorld,
  spec: TestSpec,
  action: (container: RunningContainer) => Promise<Result>,
): Promise<Result> {
  const { container } = await world.start({ argv: WAIT, ...spec });
  try {
    return await action(container);
  } finally {
    container.kill(SIGKILL);
    await container.exited;
  }
}

export function execIn(
  container: RunningContainer,
  argv: readonly string[],
  more: Partial<ExecSpec> = {},
): Promise<ExecProcess> {
  return container.exec({ argv, stdin: false, tty: false, ...more });
}

export interface Finished {
  readonly stdout: string;
  readonly stderr: string;
  readonly exit: object;
}

export async function finished({ stdout, stderr, exited }: ExecProcess): Promise<Finished> {
  const [out, err, exit] = await Promise.all([textOf(stdout), textOf(stderr), exited]);
  return { stdout: out, stderr: err, exit };
}

export async function textOf(stream: AsyncIterable<Uint8Array> = noBytes()): Promise<string> {
  return (await bytesOf(stream)).toString();
}

export async function bytesOf(stream: AsyncIterable<Uint8Array> = noBytes()): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(stream));
}

/** Reads until the text has come, and lets the rest be read later. */
export async function waitFor(stream: AsyncIterator<Uint8Array>, text: string): Promise<string> {
  let seen = "";
  while (!seen.includes(text)) {
    const { done, value } = await stream.next();
    if (done === true) throw new Error(`ended with "${seen}" before "${text}"`);
    seen += Buffer.from(value).toString();
  }
  return seen;
}

export function openFiles(): number {
  return readdirSync("/proc/self/fd").length;
}

/** Comes back once no more files are open than `before`: Bun closes its own copies a moment later. Never, when one leaks. */
export async function filesClosed(before: number): Promise<void> {
  while (openFiles() > before) await Bun.sleep(1);
}

export async function* noBytes(): AsyncGenerator<Uint8Array> {}
