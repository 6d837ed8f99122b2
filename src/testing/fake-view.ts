/** A running Pillion as its doors see it, without anything behind it. */
import type { DeadLetter } from "../kernel/dead-letters.ts";
import type {
  ProbeAnswer,
  ReloadOutcome,
  RuntimeStatus,
  RuntimeView,
  SidecarStatus,
} from "../runtime/view.ts";

const WELL: ProbeAnswer = { isOk: true, because: [] };

export class FakeView implements RuntimeView {
  /** What was asked for, oldest first. */
  readonly calls: string[] = [];
  readonly #quit = Promise.withResolvers<void>();
  /** Resolves when it was told to quit. */
  readonly hasQuit = this.#quit.promise;
  readonly letters = new Map<string, DeadLetter[]>();
  sidecars: SidecarStatus[] = [];
  live = WELL;
  started = WELL;
  ready = WELL;
  reloaded: ReloadOutcome = { outcome: "unchanged", needRestart: [] };
  /** Throws in the place of the text when it is set. */
  brokenMetrics: Error | undefined;

  status(): RuntimeStatus {
    return {
      version: "1.2.3",
      startedAt: "2026-01-01T00:00:00.000Z",
      phase: "running",
      config: { loadedAt: "2026-01-01T00:00:00.000Z", needRestart: [] },
      polledFolders: 0,
      sidecars: this.sidecars,
    };
  }

  isLive(): ProbeAnswer {
    return this.live;
  }

  isStarted(): ProbeAnswer {
    return this.started;
  }

  isReady(): ProbeAnswer {
    return this.ready;
  }

  metricsText(): string {
    if (this.brokenMetrics !== undefined) throw this.brokenMetrics;
    return "# TYPE pillion_x gauge\npillion_x 1\n";
  }

  prestop(options = {}): void {
    this.calls.push(`prestop ${JSON.stringify(options)}`);
  }

  quit(): void {
    this.calls.push("quit");
    this.#quit.resolve();
  }

  reload(): Promise<ReloadOutcome> {
    this.calls.push("reload");
    return Promise.resolve(this.reloaded);
  }

  deadLetters(name: string) {
    const letters = this.letters.get(name);
    if (letters === undefined) return undefined;
    return {
      list: () => Promise.resolve([...letters]),
      replay: (ids: readonly string[] | "all") => {
        const meant = letters.filter(({ id }) => ids === "all" || ids.includes(id));
        for (const letter of meant) letters.splice(letters.indexOf(letter), 1);
        return Promise.resolve(meant.length);
      },
    };
  }
}

/** A well sidecar, with what is different about it. */
export function sidecarStatus(name: string, different: Partial<SidecarStatus> = {}): SidecarStatus {
  return {
    name,
    kind: "example",
    state: "running",
    health: "ready",
    gate: "traffic",
    restarts: 0,
    since: "2026-01-01T00:00:00.000Z",
    ...different,
  };
}
