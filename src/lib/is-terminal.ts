/** Tells whether a descriptor is a terminal without `node:tty`, which takes 9 ms to load: two starts of the whole program. */
import { readlinkSync } from "node:fs";

/** Names of terminals (pts(4), tty(4), console(4)), and of the consoles of virtual machines. */
const TERMINAL = /^\/dev\/(?:pts\/\d+|tty\w*|console|hvc\d+)$/;

/** False where there is no /proc. */
export function isTerminal(fd: number): boolean {
  try {
    return TERMINAL.test(readlinkSync(`/proc/self/fd/${fd}`));
  } catch {
    return false;
  }
}
