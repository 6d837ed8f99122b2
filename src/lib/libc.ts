/** The C library of the system, whatever it is called there. */
import { dlopen, type FFIFunction } from "bun:ffi";

/** By the names that glibc and musl give it. */
const LIBRARIES = ["libc.so.6", "libc.so", "libc.musl-x86_64.so.1", "libc.musl-aarch64.so.1"];

/** Functions of the C library; null where there is none to be loaded. */
export function openLibc<const Functions extends Record<string, FFIFunction>>(functions: Functions) {
  for (const library of LIBRARIES) {
    try {
      return dlopen(library, functions).symbols;
    } catch {
      // The next name may be the right one.
    }
  }
  return null;
}

/** A text as C functions read it, over a buffer of its own: the memory of a small array does not always stay where it was made. */
export function cString(text: string): Buffer {
  const bytes = Buffer.from(`${text}\0`);
  const own = Buffer.from(new ArrayBuffer(bytes.length));
  bytes.copy(own);
  return own;
}
