/** Which files, sockets and pipes this process holds, to find those that somebody forgot. */
import { readdirSync, readlinkSync } from "node:fs";

/** The event loop's own, made when it first needs them. */
const LOOP = /^anon_inode:\[(?:eventpoll|eventfd)\]$/;

/** Descriptor and what it is, `7 socket:[123]`. */
export function openFiles(): ReadonlySet<string> {
  return new Set(
    readdirSync("/proc/self/fd").flatMap((fd) => {
      const target = targetOf(fd);
      return target === undefined || LOOP.test(target) ? [] : [`${fd} ${target}`];
    }),
  );
}

/** Undefined for the descriptor of the listing itself, which is gone. */
function targetOf(fd: string): string | undefined {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return undefined;
  }
}
