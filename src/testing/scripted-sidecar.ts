/** A sidecar whose every step a test decides, and which remembers what was asked of it. */
import { z } from "zod";
import type { Gate } from "../kernel/health.ts";
import type { SidecarEntry } from "../config/sidecar-file.ts";
import { defineSidecar, type Running, type Sidecar, type SidecarContext } from "../kernel/sidecar.ts";

export interface ScriptedRun {
  readonly context: SidecarContext<unknown>;
  readonly config: unknown;
  /** Lets `start` resolve. */
  started(more?: Partial<Running>): void;
  failStart(because: unknown): void;
  /** Lets `done` resolve. */
  finish(): void;
  breakDown(because: unknown): void;
  readonly isOver: boolean;
}

export interface ScriptedSidecar {
  readonly sidecar: Sidecar;
  /** Every call of `start`, oldest first. */
  readonly runs: ScriptedRun[];
  /** The one that is called last. Throws when there was none. */
  readonly run: ScriptedRun;
}

/** `play` is called with each run as it begins; without it nothing happens by itself. */
export function scriptedSidecar(play: (run: ScriptedRun) => void = () => undefined): ScriptedSidecar {
  const runs: ScriptedRun[] = [];
  const sidecar = defineSidecar({
    kind: "scripted",
    summary: "Does what a test says.",
    config: z.strictObject({}),
    gates: "none",
    metrics: (meter) => meter.counter("scripted_starts_total", "Starts."),
    async start(config, context) {
      context.metrics.add();
      const start = Promise.withResolvers<Running>();
      const done = Promise.withResolvers<void>();
      let isOver = false;
      void done.promise.catch(() => undefined).finally(() => (isOver = true));
      const run: ScriptedRun = {
        context,
        config,
        started: (more) => start.resolve({ done: done.promise, ...more }),
        failStart(because) {
          isOver = true;
          start.reject(because);
        },
        finish: () => done.resolve(),
        breakDown: (because) => done.reject(because),
        get isOver() {
          return isOver;
        },
      };
      runs.push(run);
      play(run);
      return await start.promise;
    },
  });
  return {
    sidecar,
    runs,
    get run() {
      const run = runs.at(-1);
      if (run === undefined) throw new Error("the sidecar was never started");
      return run;
    },
  };
}

/** Starts at once and ends as soon as it is told to. */
export function wellBehaved(run: ScriptedRun): void {
  run.started();
  run.context.signal.addEventListener("abort", () => run.finish(), { once: true });
}

/** As a configuration has it. */
export function entryOf(name: string, sidecar: Sidecar, more: Partial<SidecarEntry> = {}): SidecarEntry {
  const gates: Gate = sidecar.gates;
  return { name, sidecar, config: {}, gates, container: "shared", fingerprint: name, ...more };
}

/** Lets everything happen that waits for nothing but its turn. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}
