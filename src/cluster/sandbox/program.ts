/** A list of system calls for the launcher: built here with names for errors, then laid out in memory as launcher.c reads it. */
import { ptr } from "bun:ffi";
import { MAX_FD, O_CLOEXEC } from "./linux-constants.ts";
import { syscallNumber, type SyscallName } from "./syscall-numbers.ts";

/** Where an op leaves its result (a file descriptor, mostly) for later ops. */
export interface Slot {
  readonly slot: number;
}

/** A place in the program to go on from. */
export interface Label {
  readonly label: number;
}

/** Strings become NUL-terminated, arrays of strings argv, bytes a pointer to a copy (`Slot` and numbers as they are). */
export type Argument = number | bigint | string | Uint8Array | readonly string[] | Slot;

export interface CallOptions {
  /** How errors name the call; default `name(string,string)`. */
  readonly name?: string;
  readonly save?: Slot;
  /** Errors that do not end the program: one errno, or every one. Goes on at `orElse`, by default with the next op. */
  readonly ignore?: number | "all";
  readonly orElse?: Label;
  /** Where success goes on; by default with the next op. */
  readonly onSuccess?: Label;
}

interface Op {
  readonly call: SyscallName;
  readonly args: readonly Argument[];
  readonly options: CallOptions;
}

const EINVAL = 22;
/** Behind standard input, output and error. */
const FIRST_FD = 3;
const WORD = 8;
/** Mirrors `struct op` and `struct job` of launcher.c. */
const OP_WORDS = 12;
const JOB_WORDS = 9;
const JOB_AT = 3;
const JOB_ERROR = 4;
const JOB_TO = 6;
const JOB_SLOT_COUNT = 7;

/** Memory of a program that is ready to run; must stay referenced until the launcher returned. */
export interface LaidOut {
  /** Address of the `struct job`. */
  readonly address: number;
  /** Index of the op that ran last; the number of ops when the program ran off its end. */
  at(): number;
  /** Errno of the op that stopped the program, 0 when none did. */
  error(): number;
  /** Value of a slot: a result, or −errno. */
  slot(slot: Slot): number;
}

const encoder = new TextEncoder();

export class Program {
  readonly #ops: Op[] = [];
  readonly #labels: number[] = [];
  #slots = 0;
  #forked: Slot | undefined;
  #gate: Slot | undefined;

  get length(): number {
    return this.#ops.length;
  }

  slot(): Slot {
    return { slot: this.#slots++ };
  }

  /** Where the pid of the process is that `fork` makes. */
  get forked(): Slot | undefined {
    return this.#forked;
  }

  /** Where the descriptor is that `closeFiles` leaves open. */
  get gate(): Slot | undefined {
    return this.#gate;
  }

  /** A label that `place` puts somewhere later. */
  label(): Label {
    return { label: this.#labels.push(-1) - 1 };
  }

  /** The next op is where `label` leads. */
  place(label: Label): this {
    this.#labels[label.label] = this.#ops.length;
    return this;
  }

  call(call: SyscallName, args: readonly Argument[], options: CallOptions = {}): this {
    this.#ops.push({ call, args, options });
    return this;
  }

  /**
   * What follows runs in one more process, in the pid namespace that `setns` chose: a process never changes its own. That
   * one is the engine's child, too; the first ends when it has called `execve`. At most once in a program. With
   * `copiesMemory` it has a copy of the engine's memory until then, which costs 1 ms and more: what others do to it is not
   * done to the engine.
   */
  fork({ copiesMemory = false } = {}): this {
    this.#forked = this.slot();
    this.#gate ??= this.slot();
    return this.call("fork", [copiesMemory ? 1 : 0], { save: this.#forked, name: "clone()" });
  }

  /**
   * Closes all descriptors but the first three, and one that `execve` closes, which tells the engine when it has the memory
   * to itself again: for programs that become another user, or fork where others can see them.
   */
  closeFiles(): this {
    this.#gate ??= this.slot();
    return this.call("dup3", [this.#gate, FIRST_FD, O_CLOEXEC], { ignore: EINVAL }).call("close_range", [
      FIRST_FD + 1,
      MAX_FD,
      0,
    ]);
  }

  /** Ends the child here with this exit code. */
  exit(code: number): this {
    return this.call("exit_group", [code]);
  }

  /** What errors call the op, such as `mount(overlay,/usr)`. */
  nameOf(index: number): string {
    const op = this.#ops[index];
    if (op === undefined) return "clone()";
    if (op.options.name !== undefined) return op.options.name;
    const texts = op.args.filter((argument): argument is string => typeof argument === "string");
    return `${op.call}(${texts.slice(0, 2).join(",")})`;
  }

  /** Copies the program into memory as it is now; cheap enough to do at every start. */
  layOut(gate = -1): LaidOut {
    const arena = new Arena(
      (JOB_WORDS + this.#ops.length * OP_WORDS + this.#slots) * WORD,
      this.#dataBytes(),
    );
    const ops = JOB_WORDS;
    const slots = ops + this.#ops.length * OP_WORDS;
    const { words } = arena;
    words[0] = BigInt(arena.address + ops * WORD);
    words[1] = BigInt(this.#ops.length);
    words[2] = BigInt(arena.address + slots * WORD);
    for (const [index, op] of this.#ops.entries()) this.#layOutOp(arena, index, op);
    words[JOB_TO] = BigInt(gate);
    words[JOB_SLOT_COUNT] = BigInt(this.#slots);
    if (this.#gate !== undefined) words[slots + this.#gate.slot] = BigInt(gate);
    return {
      address: arena.address,
      at: () => Number(words[JOB_AT]),
      error: () => Number(words[JOB_ERROR]),
      slot: ({ slot }) => Number(words[slots + slot]),
    };
  }

  #layOutOp(arena: Arena, index: number, { call, args, options }: Op): void {
    const { words } = arena;
    const base = JOB_WORDS + index * OP_WORDS;
    words[base] = BigInt(syscallNumber(call));
    let slotMask = 0;
    for (const [position, argument] of args.entries()) {
      if (isSlot(argument)) slotMask |= 1 << position;
      words[base + 1 + position] = arena.value(argument);
    }
    words[base + 7] = BigInt(slotMask);
    words[base + 8] = BigInt(options.save?.slot ?? -1);
    words[base + 9] = BigInt(typeof options.ignore === "number" ? options.ignore : 0);
    words[base + 10] = BigInt(options.ignore === undefined ? -1 : this.#target(options.orElse, index + 1));
    words[base + 11] = BigInt(this.#target(options.onSuccess, index + 1));
  }

  #target(label: Label | undefined, next: number): number {
    if (label === undefined) return next;
    const index = this.#labels[label.label];
    if (index === undefined || index < 0)
      throw new RangeError("Cannot lay out program: a label was never placed");
    // Only forward: a program must end.
    if (index < next) throw new RangeError("Cannot lay out program: a label leads backwards");
    return index;
  }

  #dataBytes(): number {
    let bytes = 0;
    for (const { args } of this.#ops) for (const argument of args) bytes += dataBytes(argument);
    return bytes;
  }
}

function isSlot(argument: Argument): argument is Slot {
  return typeof argument === "object" && "slot" in argument;
}

function aligned(bytes: number): number {
  return (bytes + WORD - 1) & ~(WORD - 1);
}

/** Upper bound of the room an argument takes: UTF-8 needs at most 3 bytes per UTF-16 unit. */
function dataBytes(argument: Argument): number {
  if (typeof argument === "string") return aligned(argument.length * 3 + 1);
  if (argument instanceof Uint8Array) return aligned(argument.length);
  if (!Array.isArray(argument)) return 0;
  return argument.reduce<number>(
    (sum, text: string) => sum + aligned(text.length * 3 + 1),
    (argument.length + 1) * WORD,
  );
}

/** One block of memory for everything a program points at, so that a single reference keeps it all alive. */
export class Arena {
  readonly address: number;
  readonly words: BigInt64Array;
  readonly #bytes: Uint8Array;
  #next: number;

  /** `wordBytes` at the front are `words`; `dataBytes` behind them hold copies of strings and bytes. */
  constructor(wordBytes: number, dataSize: number) {
    this.#bytes = new Uint8Array(wordBytes + dataSize + WORD);
    this.words = new BigInt64Array(this.#bytes.buffer, 0, wordBytes / WORD);
    this.address = ptr(this.#bytes);
    this.#next = wordBytes;
  }

  /** The word the kernel gets for an argument. */
  value(argument: Argument): bigint {
    if (typeof argument === "bigint") return argument;
    if (typeof argument === "number") return BigInt(argument);
    if (typeof argument === "string") return BigInt(this.#text(argument));
    if (argument instanceof Uint8Array) return BigInt(this.#copy(argument));
    if (isSlot(argument)) return BigInt(argument.slot);
    return BigInt(this.#texts(argument));
  }

  #copy(bytes: Uint8Array): number {
    this.#bytes.set(bytes, this.#next);
    return this.#take(bytes.length);
  }

  #text(text: string): number {
    if (text.includes("\0"))
      throw new RangeError(`Cannot pass "${text.replaceAll("\0", "\\0")}" to the kernel: it holds a NUL`);
    const { written } = encoder.encodeInto(text, this.#bytes.subarray(this.#next));
    this.#bytes[this.#next + written] = 0;
    return this.#take(written + 1);
  }

  #texts(texts: readonly string[]): number {
    const table = this.#next;
    this.#take((texts.length + 1) * WORD);
    for (const [index, text] of texts.entries()) {
      this.words64(table + index * WORD, BigInt(this.#text(text)));
    }
    this.words64(table + texts.length * WORD, 0n);
    return this.address + table;
  }

  words64(offset: number, value: bigint): void {
    new DataView(this.#bytes.buffer).setBigInt64(offset, value, true);
  }

  #take(bytes: number): number {
    const start = this.#next;
    this.#next += aligned(bytes);
    return this.address + start;
  }
}

/** Room for one op outside of a program: `(number, arguments)` laid out as `struct op`. */
export function layOutCall(call: SyscallName, args: readonly Argument[]): Arena {
  const arena = new Arena(
    OP_WORDS * WORD,
    args.reduce<number>((sum, argument) => sum + dataBytes(argument), 0),
  );
  arena.words[0] = BigInt(syscallNumber(call));
  for (const [position, argument] of args.entries()) arena.words[1 + position] = arena.value(argument);
  arena.words[8] = -1n;
  return arena;
}
