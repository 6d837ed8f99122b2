/** Reads a FIFO into a spool: writers come and go, the FIFO is made, removed and made again, and no byte is lost on the way. */
import { closeSync, constants, fstatSync, openSync, type Stats, statSync } from "node:fs";
import type { Clock } from "../../../kernel/clock.ts";
import { messageOf, Problem } from "../../../kernel/problem.ts";
import { Bell } from "../../../lib/bell.ts";
import { growPipe, knowsPipes, makeFifo } from "../../../lib/pipes.ts";
import { type DrainState, PipeDrain, TURN_BYTES } from "./pipe-drain.ts";
import type { PushSource } from "./push-source.ts";
import type { Spool } from "./spool.ts";

export interface FifoOptions {
  readonly path: string;
  /** Makes the FIFO where there is none. */
  readonly create: boolean;
  /** Closed together with the source. */
  readonly spool: Spool;
  readonly clock: Clock;
}

/** Anybody in the pod may write, only we read. */
const MODE = 0o622;
/** How much writers can get rid of between two looks; the most that Linux allows without privileges. */
const PIPE_BYTES = TURN_BYTES;
/** Linux tells of a write into a FIFO only by giving its bytes, so it is looked at: the more rarely, the longer it is quiet. */
const SHORTEST_LOOK_MS = 1;
const LONGEST_LOOK_MS = 100;
/** While the spool is full, or cannot be written to. */
const BLOCKED_MS = 200;
/** How often it is seen whether the FIFO is still the one at its path. */
const CHECK_MS = 500;

interface OpenFifo {
  readonly fd: number;
  /** Device and inode. */
  readonly identity: string;
}

type Round = "busy" | "blocked" | "quiet";

export class FifoSource implements PushSource {
  readonly spooled: Spool;
  readonly #options: FifoOptions;
  readonly #drain: PipeDrain;
  readonly #bell: Bell;
  readonly #done: Promise<void>;
  /** The one at the path comes last; others have lost their name, and are read until their writers leave. */
  #fifos: OpenFifo[] = [];
  #lookMs = SHORTEST_LOOK_MS;
  #checkAt = Number.NEGATIVE_INFINITY;
  /** So many bytes are taken at most after `finish`. */
  #finishAt: number | undefined;
  #isClosed = false;
  #opening: unknown;
  #spooling: unknown;

  /** Begins to read. Throws nothing: what hinders it is a trouble. */
  constructor(options: FifoOptions) {
    this.#options = options;
    this.spooled = options.spool;
    this.#drain = new PipeDrain(options.spool);
    this.#bell = new Bell(options.clock);
    this.#done = this.#run();
  }

  finish(): Promise<void> {
    this.#finishAt ??= this.#drain.taken + PIPE_BYTES;
    this.#bell.ring();
    return this.#done;
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    // What is still in a pipe dies with its last reader.
    for (const fifo of this.#fifos) {
      this.#take(fifo, true);
      closeSync(fifo.fd);
    }
    this.#fifos = [];
    this.#drain.close();
    this.spooled.close();
    this.#bell.ring();
  }

  troubles(): readonly unknown[] {
    return [this.#opening, this.#spooling].filter((trouble) => trouble !== undefined);
  }

  async #run(): Promise<void> {
    while (!this.#isClosed) {
      this.#check();
      const round = this.#round();
      if (this.#finishAt !== undefined && round !== "blocked") {
        if (round === "quiet" || this.#drain.taken >= this.#finishAt) break;
      }
      // However much there is, others have their turn.
      if (round === "busy") await new Promise<void>((resolve) => setImmediate(resolve));
      else await this.#bell.wait(round === "blocked" ? BLOCKED_MS : this.#lookMs);
    }
    this.close();
  }

  /** Takes from each FIFO for a while. */
  #round(): Round {
    const { taken } = this.#drain;
    const states = this.#fifos.map((fifo) => this.#take(fifo, false));
    this.#leaveUnwritten(states);
    this.#lookMs = this.#drain.taken > taken ? SHORTEST_LOOK_MS : Math.min(this.#lookMs * 2, LONGEST_LOOK_MS);
    if (states.includes("more")) return "busy";
    return states.includes("full") ? "blocked" : "quiet";
  }

  #take({ fd }: OpenFifo, isLast: boolean): DrainState {
    try {
      const state = this.#drain.drain(fd, isLast);
      this.#spooling = undefined;
      return state;
    } catch (error) {
      this.#spooling = cannotSpool(this.#options.path, error);
      return "full";
    }
  }

  /** Nobody can open one that has no name any more. */
  #leaveUnwritten(states: readonly DrainState[]): void {
    const isLeft = (index: number) => states[index] === "unwritten" && index < this.#fifos.length - 1;
    for (const [index, { fd }] of this.#fifos.entries()) {
      if (!isLeft(index)) continue;
      this.#drain.forget(fd);
      closeSync(fd);
    }
    this.#fifos = this.#fifos.filter((_, index) => !isLeft(index));
  }

  /** Looks now and then for the FIFO at the path. */
  #check(): void {
    const { clock } = this.#options;
    if (this.#finishAt !== undefined || clock.monotonic() < this.#checkAt) return;
    this.#checkAt = clock.monotonic() + CHECK_MS;
    try {
      this.#opening = this.#openNew();
    } catch (error) {
      this.#opening = cannotRead(this.#options.path, messageOf(error), error);
    }
  }

  /** A trouble, when there is nothing to open. */
  #openNew(): Problem | undefined {
    const { path, create } = this.#options;
    if (!knowsPipes()) return cannotRead(path, "this system's C library cannot be loaded");
    let stats = statSync(path, { throwIfNoEntry: false });
    if (stats === undefined && create && makeFifo(path, MODE))
      stats = statSync(path, { throwIfNoEntry: false });
    if (stats === undefined) return create ? cannotMake(path) : isMissing(path);
    if (!stats.isFIFO()) return isNoFifo(path);
    if (identityOf(stats) === this.#fifos.at(-1)?.identity) return undefined;
    // Without O_NONBLOCK the call would wait for a writer.
    const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const opened = fstatSync(fd);
    if (!opened.isFIFO() || this.#fifos.some(({ identity }) => identity === identityOf(opened)))
      closeSync(fd);
    else {
      growPipe(fd, PIPE_BYTES);
      this.#fifos.push({ fd, identity: identityOf(opened) });
      this.#lookMs = SHORTEST_LOOK_MS;
    }
    return undefined;
  }
}

function identityOf({ dev, ino }: Stats): string {
  return `${dev}:${ino}`;
}

function isMissing(path: string): Problem {
  return new Problem({
    code: "E_FIFO_MISSING",
    message: `Cannot read FIFO "${path}": it is not there yet`,
    fix: "Nothing, if the application makes it later; else write `create: true`, or mount the volume into this container too",
  });
}

function isNoFifo(path: string): Problem {
  return new Problem({
    code: "E_FIFO_OTHER",
    message: `Cannot read FIFO "${path}": it is a file of another kind`,
    fix: "Read it with `files`, or remove it and make a FIFO (mkfifo) in its place",
  });
}

function cannotMake(path: string): Problem {
  return new Problem({
    code: "E_FIFO_MISSING",
    message: `Cannot make FIFO "${path}": its folder is missing, or this user may not write to it`,
    fix: "Mount the volume into this container at that folder, without readOnly",
  });
}

function cannotRead(path: string, because: string, cause?: unknown): Problem {
  return new Problem({
    code: "E_FIFO_UNREADABLE",
    message: `Cannot read FIFO "${path}": ${because}`,
    fix: "Let this user read it (chmod, runAsUser), and see that the volume is there",
    cause,
  });
}

function cannotSpool(path: string, cause: unknown): Problem {
  return new Problem({
    code: "E_SPOOL",
    message: `Cannot keep what comes from "${path}": ${messageOf(cause)}; its writers wait`,
    fix: "Make room on the volume of the state folder, or let it be written to",
    cause,
  });
}
