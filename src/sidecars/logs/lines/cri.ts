/**
 * The wrapper that container runtimes put around each line (CRI logging format): `TIME stdout|stderr P|F TEXT`, where `P` is a
 * part of a line that goes on in the stream's next entry. Tags may be several, with colons between; the first one counts.
 */

export interface CriEntry {
  /** As the runtime wrote it: RFC 3339 with nanoseconds and zone. */
  readonly time: string;
  readonly stream: "stdout" | "stderr";
  readonly isPartial: boolean;
  readonly text: string;
}

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)$/;
const SPACE = " ";

/** Takes the wrapper off; undefined where there is none. */
export function readCri(line: string): CriEntry | undefined {
  const timeEnd = line.indexOf(SPACE);
  // "2026-11-21T09:48:00Z" is the shortest time, "2026-11-21T09:48:00.123456789+00:00" the longest.
  if (timeEnd < 20 || timeEnd > 35) return undefined;
  const streamAt = timeEnd + 1;
  const stream = line.startsWith("stdout ", streamAt)
    ? "stdout"
    : line.startsWith("stderr ", streamAt)
      ? "stderr"
      : undefined;
  if (stream === undefined) return undefined;
  const tagAt = streamAt + 7;
  const tag = line.charCodeAt(tagAt);
  const isPartial = tag === 80;
  if (!isPartial && tag !== 70) return undefined;
  const behind = line[tagAt + 1];
  if (behind !== undefined && behind !== SPACE && behind !== ":") return undefined;
  const tagsEnd = behind === ":" ? line.indexOf(SPACE, tagAt) : tagAt + 1;
  const time = line.slice(0, timeEnd);
  if (!TIME.test(time)) return undefined;
  return { time, stream, isPartial, text: tagsEnd < 0 ? "" : line.slice(tagsEnd + 1) };
}
