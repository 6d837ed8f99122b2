/**
 * The filter of containers that have no other: all that it refuses is a control group namespace of one's own. With it, and a user
 * namespace, root in a container could mount the control groups of version 1 and write to them: to those of this machine in every
 * hierarchy that the container has no group in, and to its own, to lift its limits or to freeze what the engine starts in it.
 */
import {
  ALLOW,
  answer,
  ARCH_AT,
  argumentAt,
  fail,
  type Instruction,
  JUMP_EQUAL,
  JUMP_SET,
  load,
  NUMBER_AT,
  when,
} from "./bpf.ts";
import { CLONE_NEWCGROUP } from "../linux-constants.ts";
import type { Processor } from "./runtime-default.ts";

const EPERM = fail(1);
const ENOSYS = fail(38);

interface Interface {
  /** `AUDIT_ARCH_…`. */
  readonly architecture: number;
  readonly unshare: number;
  readonly clone: number;
  readonly clone3: number;
}

/** Every interface to the kernel that the processor has: a program may use them all (syscall_64.tbl, syscall_32.tbl, arm's syscall.tbl). */
const INTERFACES: Readonly<Record<Processor, readonly Interface[]>> = {
  x64: [
    { architecture: 0xc000_003e, unshare: 272, clone: 56, clone3: 435 },
    // x32.
    { architecture: 0xc000_003e, unshare: 0x4000_0110, clone: 0x4000_0038, clone3: 0x4000_01b3 },
    { architecture: 0x4000_0003, unshare: 310, clone: 120, clone3: 435 },
  ],
  arm64: [
    { architecture: 0xc000_00b7, unshare: 97, clone: 220, clone3: 435 },
    { architecture: 0x4000_0028, unshare: 337, clone: 120, clone3: 435 },
  ],
};

export function keepCgroups(processor: Processor): readonly Instruction[] {
  return [
    ...INTERFACES[processor].flatMap(({ architecture, unshare, clone, clone3 }) => [
      load(ARCH_AT),
      ...when(JUMP_EQUAL, architecture, [
        load(NUMBER_AT),
        ...[unshare, clone].flatMap((number) =>
          when(JUMP_EQUAL, number, [
            load(argumentAt(0)),
            ...when(JUMP_SET, CLONE_NEWCGROUP, [answer(EPERM)]),
            answer(ALLOW),
          ]),
        ),
        // Its flags are in memory, where a filter cannot look; with ENOSYS libc takes clone() instead.
        ...when(JUMP_EQUAL, clone3, [answer(ENOSYS)]),
      ]),
    ]),
    answer(ALLOW),
  ];
}
