/** A host for tests: real files in a folder of its own, everything else in the test's hand. */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Clock } from "../kernel/clock.ts";
import type { Health } from "../kernel/health.ts";
import type { FolderWatch, Host, Log, LogFields, PodIdentity, SecretSource } from "../kernel/host.ts";
import { writeFileAtomic } from "../lib/atomic-file.ts";
import { readSecret } from "../lib/read-secret.ts";
import { sleep } from "../lib/sleep.ts";
import { ManualClock } from "./manual-clock.ts";

export interface LoggedEvent {
  readonly level: keyof Log;
  readonly message: string;
  readonly fields: LogFields | undefined;
}

export interface FakeHostOptions {
  /** Pass `systemClock` for tests with real sockets and processes. @default {new ManualClock()} */
  readonly clock?: Clock;
  /** An existing state folder, for tests that restart a sidecar; it is left alone by `dispose`. */
  readonly stateFolder?: string;
  /** @default {the process's own fetch, redirects not followed} */
  readonly fetch?: (url: string | URL, init?: RequestInit) => Promise<Response>;
  readonly env?: Readonly<Record<string, string>>;
  readonly pod?: Partial<PodIdentity>;
}

interface Watcher {
  readonly path: string;
  readonly changed: (name: string | undefined) => void;
}

export class FakeHost implements Host {
  readonly clock: Clock;
  readonly stateFolder: string;
  readonly pod: PodIdentity;
  readonly log: Log;
  /** What was reported, oldest first. */
  readonly reports: Health[] = [];
  readonly logged: LoggedEvent[] = [];
  /** Answers every request; may be replaced at any time. */
  answer: (url: string | URL, init?: RequestInit) => Promise<Response>;
  /** Awaited before each write to stdout: a slow or broken reader. */
  beforeStdout: (data: Uint8Array) => Promise<void> | void = () => undefined;
  /** Awaited before each atomic write: throw what a full disk would. */
  beforeWrite: (path: string) => Promise<void> | void = () => undefined;
  /** False: folders cannot be watched, as when the kernel has no watch left. */
  canWatch = true;
  readonly #stdout: Uint8Array[] = [];
  readonly #watchers = new Set<Watcher>();
  readonly #env: Readonly<Record<string, string>>;
  readonly #ownFolder: string | undefined;
  #stdoutQueue: Promise<void> = Promise.resolve();

  constructor(options: FakeHostOptions = {}) {
    this.clock = options.clock ?? new ManualClock();
    this.#ownFolder =
      options.stateFolder === undefined ? mkdtempSync(join(tmpdir(), "pillion-host-")) : undefined;
    this.stateFolder = options.stateFolder ?? join(this.#ownFolder ?? "", "state");
    mkdirSync(this.stateFolder, { recursive: true, mode: 0o700 });
    this.answer = options.fetch ?? ((url, init) => fetch(url, { redirect: "manual", ...init }));
    this.#env = options.env ?? {};
    this.pod = {
      name: undefined,
      namespace: undefined,
      uid: undefined,
      node: undefined,
      ip: undefined,
      labels: {},
      ...options.pod,
    };
    const log = (level: keyof Log) => (message: string, fields?: LogFields) =>
      void this.logged.push({ level, message, fields });
    this.log = { debug: log("debug"), info: log("info"), warn: log("warn"), error: log("error") };
  }

  /** The last report. */
  get health(): Health | undefined {
    return this.reports.at(-1);
  }

  /** Everything that was written to stdout. */
  get stdout(): string {
    return Buffer.concat(this.#stdout).toString();
  }

  /** How many folders are being watched; 0 after a clean stop. */
  get watches(): number {
    return this.#watchers.size;
  }

  /** Tells whoever watches the folder of a change there. */
  touch(folder: string, name?: string): void {
    for (const { path, changed } of this.#watchers) if (path === folder) changed(name);
  }

  [Symbol.dispose](): void {
    if (this.#ownFolder !== undefined) rmSync(this.#ownFolder, { recursive: true, force: true });
  }

  now(): number {
    return this.clock.now();
  }

  monotonic(): number {
    return this.clock.monotonic();
  }

  schedule(ms: number, callback: () => void): () => void {
    return this.clock.schedule(ms, callback);
  }

  sleep(ms: number, signal?: AbortSignal): Promise<boolean> {
    return sleep(ms, this.clock, signal);
  }

  fetch(url: string | URL, init?: RequestInit): Promise<Response> {
    return this.answer(url, init);
  }

  async writeFileAtomic(path: string, data: string | Uint8Array, mode: number): Promise<void> {
    await this.beforeWrite(path);
    writeFileAtomic(path, data, mode);
  }

  readSecret(source: SecretSource): Promise<string> {
    return readSecret(source, this.#env);
  }

  watchFolder(path: string, changed: (name: string | undefined) => void): FolderWatch {
    if (!this.canWatch) return { isLive: false, close: () => undefined };
    const watcher = { path, changed };
    this.#watchers.add(watcher);
    return { isLive: true, close: () => void this.#watchers.delete(watcher) };
  }

  writeStdout(data: Uint8Array): Promise<void> {
    const copy = data.slice();
    const write = async (): Promise<void> => {
      await this.beforeStdout(copy);
      this.#stdout.push(copy);
    };
    const written = this.#stdoutQueue.then(write);
    this.#stdoutQueue = written.catch(() => undefined);
    return written;
  }

  report(health: Health): void {
    this.reports.push(health);
  }
}
