/** The image map that a cluster keeps in its state folder: what its files said last, and what commands said. */
import { readFileSync } from "node:fs";
import { z } from "zod";
import { Problem, messageOf } from "../../kernel/problem.ts";
import { writeFileAtomic } from "../../lib/atomic-file.ts";
import { KEPT_BY_COMMAND, mapKey, mergeMaps } from "./image-map.ts";
import type { ImageMapSource, MapEntry, Mapping } from "./image-map.ts";

const HostCopy = z.object({ from: z.string(), to: z.string() });
const KeptMapping: z.ZodType<Mapping> = z.discriminatedUnion("kind", [
  z.object({
    kind: z.literal("host"),
    workdir: z.string().exactOptional(),
    command: z.array(z.string()).exactOptional(),
    args: z.array(z.string()).exactOptional(),
    env: z.record(z.string(), z.string()),
    user: z.string(),
    stopSignal: z.string(),
    copies: z.array(HostCopy),
    folders: z.array(z.string()),
  }),
  z.object({ kind: z.enum(["oci", "archive"]), path: z.string() }),
]);
const KeptEntry = z.object({ name: z.string(), mapping: KeptMapping, source: z.string(), place: z.string() });
const KeptFile = z.object({ images: z.array(KeptEntry) });

export interface KeptMap {
  entries(): readonly MapEntry[];
  /** Takes over what these sources say now, in place of what the same sources said before. Throws `Problem`. */
  adopt(sources: readonly ImageMapSource[]): void;
  /** Maps one name as a command asked; replaces what a command said before. Throws `Problem`. */
  map(name: string, mapping: Mapping): void;
  /** Forgets a name, whoever mapped it. Throws `Problem` when it is not mapped. */
  unmap(name: string): void;
}

/** Opens the map kept in `file`; a missing file is an empty map. Throws `Problem` when it cannot be read. */
export function openKeptMap(file: string): KeptMap {
  let kept = readKept(file);

  function keep(entries: readonly MapEntry[]): void {
    writeFileAtomic(file, `${JSON.stringify({ images: entries }, undefined, 2)}\n`, 0o600);
    kept = entries;
  }

  return {
    entries: () => kept,
    adopt(sources) {
      const renewed = new Set(sources.map(({ source }) => source));
      const others = kept.filter((entry) => !renewed.has(entry.source));
      keep(mergeMaps([{ source: file, entries: others }, ...sources]));
    },
    map(name, mapping) {
      const key = mapKey(name);
      const others = kept.filter((entry) => entry.source !== KEPT_BY_COMMAND || mapKey(entry.name) !== key);
      const entry = { name, mapping, source: KEPT_BY_COMMAND, place: `\`${KEPT_BY_COMMAND}\`` };
      keep(
        mergeMaps([
          { source: file, entries: others },
          { source: KEPT_BY_COMMAND, entries: [entry] },
        ]),
      );
    },
    unmap(name) {
      const key = mapKey(name);
      const others = kept.filter((entry) => mapKey(entry.name) !== key);
      if (others.length === kept.length) throw notMapped(name);
      keep(others);
    },
  };
}

function readKept(file: string): readonly MapEntry[] {
  try {
    return KeptFile.parse(JSON.parse(readFileSync(file, "utf8"))).images;
  } catch (because) {
    if (because instanceof Error && "code" in because && because.code === "ENOENT") return [];
    throw new Problem({
      code: "E_IMAGE_MAP_UNREADABLE",
      message: `Cannot read the image map that the cluster keeps in "${file}": ${messageOf(because)}`,
      fix: "Make the file readable, or delete it and map the images again",
      cause: because,
    });
  }
}

function notMapped(name: string): Problem {
  return new Problem({
    code: "E_IMAGE_NOT_MAPPED",
    message: `Cannot unmap the image "${name}": it is not mapped`,
    fix: "See the map with: pillion images ls",
  });
}
