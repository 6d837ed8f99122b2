/** A few instructions of classic BPF, the language of system call filters (kernel: userspace-api/seccomp_filter). */

export interface Instruction {
  readonly code: number;
  /** How many instructions to skip when a test holds, and when it does not. */
  readonly whenTrue: number;
  readonly whenFalse: number;
  readonly value: number;
}

export const LOAD = 0x20;
export const JUMP_EQUAL = 0x15;
export const JUMP_GREATER = 0x25;
export const JUMP_GREATER_OR_EQUAL = 0x35;
export const JUMP_SET = 0x45;
export const RETURN = 0x06;

/** Offsets in `struct seccomp_data`. Arguments are 64 bits wide; of little-endian words the low half comes first. */
export const NUMBER_AT = 0;
export const ARCH_AT = 4;
export function argumentAt(index: number): number {
  return 16 + index * 8;
}

export const ALLOW = 0x7fff_0000;
/** The call fails with this errno. */
export function fail(errno: number): number {
  return 0x0005_0000 | errno;
}

export function load(offset: number): Instruction {
  return { code: LOAD, whenTrue: 0, whenFalse: 0, value: offset };
}

export function answer(value: number): Instruction {
  return { code: RETURN, whenTrue: 0, whenFalse: 0, value };
}

/** Goes on with the next instruction when the test holds, else behind the `body`. */
export function when(code: number, value: number, body: readonly Instruction[]): readonly Instruction[] {
  return [{ code, whenTrue: 0, whenFalse: body.length, value }, ...body];
}

/** `struct sock_filter` each: code, two offsets, value. */
export function assemble(instructions: readonly Instruction[]): Uint8Array {
  const bytes = new Uint8Array(instructions.length * 8);
  const view = new DataView(bytes.buffer);
  for (const [index, { code, whenTrue, whenFalse, value }] of instructions.entries()) {
    view.setUint16(index * 8, code, true);
    view.setUint8(index * 8 + 2, whenTrue);
    view.setUint8(index * 8 + 3, whenFalse);
    view.setUint32(index * 8 + 4, value, true);
  }
  return bytes;
}
