/** The signal that asks a container to end. */
import { constants } from "node:os";
import type { Container } from "../../../generated/kubernetes.ts";

const SIGRTMIN = 34;
const SIGRTMAX = 64;
export const SIGKILL = 9;
const SIGTERM = 15;

/** `lifecycle.stopSignal`, else the image's, else SIGTERM (KEP-4960). Unknown names count as SIGTERM. */
export function stopSignalOf({ lifecycle }: Container, imageStopSignal: string): number {
  return signalNumber(lifecycle?.stopSignal) ?? signalNumber(imageStopSignal) ?? SIGTERM;
}

function signalNumber(text: string | undefined): number | undefined {
  if (text === undefined || text === "") return undefined;
  if (/^\d+$/.test(text)) return inRange(Number(text));
  const name = text.startsWith("SIG") ? text : `SIG${text}`;
  const realTime = /^SIGRT(MIN|MAX)(?:([+-])(\d+))?$/.exec(name);
  if (realTime !== null) {
    const [, base, sign, offset = "0"] = realTime;
    return inRange((base === "MIN" ? SIGRTMIN : SIGRTMAX) + Number(`${sign ?? ""}${offset}`));
  }
  return new Map<string, number>(Object.entries(constants.signals)).get(name);
}

function inRange(signal: number): number | undefined {
  return signal >= 1 && signal <= SIGRTMAX ? signal : undefined;
}
