/** The filter of `seccompProfile: RuntimeDefault`, built for a processor and for the capabilities that the container has. */
import {
  ALLOW,
  answer,
  ARCH_AT,
  argumentAt,
  fail,
  type Instruction,
  JUMP_EQUAL,
  JUMP_GREATER,
  JUMP_GREATER_OR_EQUAL,
  JUMP_SET,
  load,
  NUMBER_AT,
  when,
} from "./bpf.ts";
import { CHECKED_CALLS, LAST_KNOWN_CALL, REFUSED_CALLS, type RefusedCall } from "./refused-calls.ts";

export type Processor = "x64" | "arm64";

const EPERM = fail(1);
const ENOSYS = fail(38);
/** `AUDIT_ARCH_…` of include/uapi/linux/audit.h: other values are calls of 32-bit programs, whose numbers mean other calls. */
const ARCHITECTURES = { x64: 0xc000_003e, arm64: 0xc000_00b7 } as const;
/** From here on are the calls of the x32 ABI. */
const X32_CALLS = 0x4000_0000;
/** CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET. */
const NAMESPACE_FLAGS = 0x7e02_0000;
/** PER_LINUX, PER_LINUX32, each with and without UNAME26, and the question what it is (personality(2)). */
const PERSONALITIES = [0x0, 0x0008, 0x2_0000, 0x2_0008, 0xffff_ffff];
const AF_VSOCK = 40;

/** `capabilities` by name, without `CAP_`. Allowed is what is known and not refused; what is not known does not exist. */
export function runtimeDefault(
  processor: Processor,
  capabilities: readonly string[],
): readonly Instruction[] {
  const has = (names: readonly string[] = []) => names.some((name) => capabilities.includes(name));
  const refused = Object.values(REFUSED_CALLS).filter(({ unless }) => !has(unless));
  return [
    load(ARCH_AT),
    ...unlessEqual(ARCHITECTURES[processor], [answer(EPERM)]),
    load(NUMBER_AT),
    ...(processor === "x64" ? when(JUMP_GREATER_OR_EQUAL, X32_CALLS, [answer(EPERM)]) : []),
    ...when(JUMP_GREATER, LAST_KNOWN_CALL, [answer(ENOSYS)]),
    ...(has(["SYS_ADMIN"]) ? [] : newNamespaces(processor)),
    ...on(CHECKED_CALLS.personality[processor], [
      load(argumentAt(0)),
      ...PERSONALITIES.flatMap((value) => when(JUMP_EQUAL, value, [answer(ALLOW)])),
      answer(EPERM),
    ]),
    // Not in any namespace: it reaches the machine that this one is a guest of.
    ...on(CHECKED_CALLS.socket[processor], [
      load(argumentAt(0)),
      ...when(JUMP_EQUAL, AF_VSOCK, [answer(EPERM)]),
      answer(ALLOW),
    ]),
    ...refused.flatMap((call) => refuse(call, processor)),
    answer(ALLOW),
  ];
}

function newNamespaces(processor: Processor): readonly Instruction[] {
  return [
    ...on(CHECKED_CALLS.clone[processor], [
      load(argumentAt(0)),
      ...when(JUMP_SET, NAMESPACE_FLAGS, [answer(EPERM)]),
      answer(ALLOW),
    ]),
    // Its flags are in memory, where a filter cannot look; with ENOSYS libc takes clone() instead.
    ...on(CHECKED_CALLS.clone3[processor], [answer(ENOSYS)]),
  ];
}

function on(number: number, body: readonly Instruction[]): readonly Instruction[] {
  return when(JUMP_EQUAL, number, body);
}

function refuse(call: RefusedCall, processor: Processor): readonly Instruction[] {
  const number = call[processor];
  return number < 0 ? [] : on(number, [answer(EPERM)]);
}

function unlessEqual(value: number, body: readonly Instruction[]): readonly Instruction[] {
  return [{ code: JUMP_EQUAL, whenTrue: body.length, whenFalse: 0, value }, ...body];
}
