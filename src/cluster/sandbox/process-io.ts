/** The contract of talking to a process in a container: exec, attach and terminals. */

/** Characters, as `TIOCSWINSZ` takes them. */
export interface TerminalSize {
  readonly width: number;
  readonly height: number;
}

/** What goes into a process. One chunk at a time: the writer waits until it has been taken. */
export interface ProcessInput {
  /** Resolves when the process, or the kernel for it, has taken the chunk. What it will never read is dropped silently. */
  write(chunk: Uint8Array): Promise<void>;
  /** The process reads end-of-file; a terminal gets its end-of-file character. Idempotent. */
  end(): void;
}

export interface ProcessStreams {
  /** Absent when not asked for, or when the process was started without. */
  readonly stdin?: ProcessInput;
  /** The reader's pace is the pace. Ends when the process has ended and all is read, or when nobody can write any more. */
  readonly stdout?: AsyncIterable<Uint8Array>;
  /** Absent with a terminal: it has one output. */
  readonly stderr?: AsyncIterable<Uint8Array>;
  /** Does nothing without a terminal. */
  resize(size: TerminalSize): void;
  /**
   * Lets go of the streams, for a client that has gone: those that are being read end at once, standard input ends, the
   * terminal of an exec hangs up. The process itself goes on as it likes. Idempotent.
   */
  detach(): void;
}

export interface ExecSpec {
  /** `argv[0]` is looked up in the container's PATH when it has no slash. */
  readonly argv: readonly string[];
  readonly stdin: boolean;
  readonly tty: boolean;
  readonly size?: TerminalSize;
}

/** A program that runs beside process 1 of a container, in its namespaces, limits, environment and user. */
export interface ExecProcess extends ProcessStreams {
  /** Resolves when it has ended; also when the container ends. Never rejects. */
  readonly exited: Promise<{
    /** 0–255; 128 + signal when a signal ended it. */
    readonly exitCode: number;
    readonly signal?: number;
  }>;
  /** Signal to the process; what it has started itself is not reached. Ended processes are ignored. */
  kill(signal: number): void;
}

export interface AttachSpec {
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
}

/** Streams of process 1. Detaching never disturbs it. */
export type AttachedProcess = ProcessStreams;
