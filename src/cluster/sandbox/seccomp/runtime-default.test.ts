import { describe, expect, test } from "bun:test";
import { syscallNumber } from "../syscall-numbers.ts";
import { ALLOW, assemble, fail } from "./bpf.ts";
import { keepCgroups } from "./keep-cgroups.ts";
import { CHECKED_CALLS, LAST_KNOWN_CALL, REFUSED_CALLS } from "./refused-calls.ts";
import { type Processor, runtimeDefault } from "./runtime-default.ts";

const EPERM = fail(1);
const ENOSYS = fail(38);
const ARCHITECTURES = { x64: 0xc000_003e, arm64: 0xc000_00b7 } as const;

interface Call {
  readonly number: number;
  readonly architecture?: number;
  readonly firstArgument?: bigint;
}

/** Does what the kernel does with the program: one instruction after the other, to the first answer. */
function run(program: Uint8Array, processor: Processor, call: Call): number {
  const data = new DataView(new ArrayBuffer(64));
  data.setUint32(0, call.number, true);
  data.setUint32(4, call.architecture ?? ARCHITECTURES[processor], true);
  data.setBigUint64(16, BigInt.asUintN(64, call.firstArgument ?? 0n), true);
  const code = new DataView(program.buffer);
  let accumulator = 0;
  for (let at = 0; at < program.length; at += 8) {
    const value = code.getUint32(at + 4, true);
    const jump = (holds: boolean) => 8 * code.getUint8(at + (holds ? 2 : 3));
    switch (code.getUint16(at, true)) {
      case 0x20:
        accumulator = data.getUint32(value, true);
        break;
      case 0x15:
        at += jump(accumulator === value);
        break;
      case 0x25:
        at += jump(accumulator > value);
        break;
      case 0x35:
        at += jump(accumulator >= value);
        break;
      case 0x45:
        at += jump((accumulator & value) !== 0);
        break;
      case 0x06:
        return value;
      default:
        throw new Error(`unknown instruction at ${at}`);
    }
  }
  throw new Error("the program has no answer");
}

const DEFAULT_CAPABILITIES = ["CHOWN", "SYS_CHROOT", "NET_RAW"];

describe.each(["x64", "arm64"] as const)("RuntimeDefault on %s", (processor) => {
  const filter = (capabilities = DEFAULT_CAPABILITIES) => assemble(runtimeDefault(processor, capabilities));
  const answer = (call: Call, capabilities?: string[]) => run(filter(capabilities), processor, call);

  test("allows every known call that is not refused, and refuses the others with EPERM [X10]", () => {
    const program = filter();
    const refused = new Set(
      Object.values(REFUSED_CALLS)
        .filter(({ unless = [] }) => !unless.some((name) => DEFAULT_CAPABILITIES.includes(name)))
        .map((call) => call[processor]),
    );
    const checked = new Set<number>(Object.values(CHECKED_CALLS).map((call) => call[processor]));
    for (let number = 0; number <= LAST_KNOWN_CALL; number++) {
      if (checked.has(number)) continue;
      expect([number, run(program, processor, { number })]).toEqual([
        number,
        refused.has(number) ? EPERM : ALLOW,
      ]);
    }
  });

  test("a call of a newer kernel does not exist, so that programs fall back [X10]", () => {
    for (const number of [LAST_KNOWN_CALL + 1, 600, 0x3fff_ffff]) expect(answer({ number })).toBe(ENOSYS);
  });

  test("calls of another processor or ABI are refused: their numbers mean other calls [X10]", () => {
    expect(answer({ number: 0, architecture: 0x4000_0003 })).toBe(EPERM);
    expect(answer({ number: 0x4000_0000 })).toBe(processor === "x64" ? EPERM : ENOSYS);
  });

  test("processes and threads may be made, namespaces not, except with SYS_ADMIN [X10]", () => {
    const clone = CHECKED_CALLS.clone[processor];
    const thread = 0x3d_0f00n;
    expect(answer({ number: clone, firstArgument: 17n })).toBe(ALLOW);
    expect(answer({ number: clone, firstArgument: thread })).toBe(ALLOW);
    for (const flag of [
      0x2_0000n,
      0x200_0000n,
      0x400_0000n,
      0x800_0000n,
      0x1000_0000n,
      0x2000_0000n,
      0x4000_0000n,
    ]) {
      expect(answer({ number: clone, firstArgument: flag | 17n })).toBe(EPERM);
      expect(answer({ number: clone, firstArgument: flag | 17n }, ["SYS_ADMIN"])).toBe(ALLOW);
    }
    const clone3 = CHECKED_CALLS.clone3[processor];
    expect(answer({ number: clone3 })).toBe(ENOSYS);
    expect(answer({ number: clone3 }, ["SYS_ADMIN"])).toBe(ALLOW);
  });

  test("checks the argument of personality() and socket() [X10]", () => {
    const personality = (value: bigint) =>
      answer({ number: CHECKED_CALLS.personality[processor], firstArgument: value });
    for (const value of [0n, 8n, 0x2_0000n, 0x2_0008n, 0xffff_ffffn]) expect(personality(value)).toBe(ALLOW);
    for (const value of [0x4_0000n, 1n]) expect(personality(value)).toBe(EPERM);
    const socket = (family: bigint) =>
      answer({ number: CHECKED_CALLS.socket[processor], firstArgument: family });
    for (const family of [1n, 2n, 10n, 16n]) expect(socket(family)).toBe(ALLOW);
    expect(socket(40n)).toBe(EPERM);
  });

  test.each(Object.entries(REFUSED_CALLS).filter(([, { unless }]) => unless !== undefined))(
    "%s() comes back with the capability that it is about [X10]",
    (_, call) => {
      if (call[processor] < 0) return;
      expect(answer({ number: call[processor] }, [])).toBe(EPERM);
      for (const capability of call.unless ?? [])
        expect(answer({ number: call[processor] }, [capability])).toBe(ALLOW);
    },
  );
});

test("the table agrees with the numbers that the launcher calls by", () => {
  const processor = process.arch === "arm64" ? "arm64" : "x64";
  for (const name of [
    "mount",
    "umount2",
    "pivot_root",
    "chroot",
    "setns",
    "unshare",
    "keyctl",
    "sethostname",
  ] as const)
    expect(REFUSED_CALLS[name]?.[processor]).toBe(syscallNumber(name));
  for (const name of [
    "open_tree",
    "move_mount",
    "fsopen",
    "fsconfig",
    "fsmount",
    "mount_setattr",
    "pidfd_getfd",
  ] as const)
    expect(REFUSED_CALLS[name]?.[processor]).toBe(syscallNumber(name));
  expect(CHECKED_CALLS.socket[processor]).toBe(syscallNumber("socket"));
});

test("no number is in the table twice", () => {
  for (const processor of ["x64", "arm64"] as const) {
    const all = [...Object.values(REFUSED_CALLS), ...Object.values(CHECKED_CALLS)];
    const numbers = all.map((call) => call[processor]).filter((number) => number >= 0);
    expect(new Set(numbers).size).toBe(numbers.length);
  }
});

test.each<[Processor, number, unshare: number, clone: number, clone3: number]>([
  ["x64", 0xc000_003e, 272, 56, 435],
  ["x64", 0xc000_003e, 0x4000_0110, 0x4000_0038, 0x4000_01b3],
  ["x64", 0x4000_0003, 310, 120, 435],
  ["arm64", 0xc000_00b7, 97, 220, 435],
  ["arm64", 0x4000_0028, 337, 120, 435],
])(
  "on %s, a container without a filter makes no control group namespace by interface %i",
  (processor, architecture, ...numbers) => {
    const program = assemble(keepCgroups(processor));
    const [unshare, clone, clone3] = numbers;
    const answer = (number: number, firstArgument = 0n) =>
      run(program, processor, { architecture, number, firstArgument });
    for (const number of [unshare, clone])
      expect([answer(number, 0x1202_0000n), answer(number, 0x7c02_0000n)]).toEqual([EPERM, ALLOW]);
    expect([answer(clone3), answer(165)]).toEqual([ENOSYS, ALLOW]);
  },
);
