/** All the sources that a configuration names, as one stream: files, and the spools of what cannot be read twice. */
import type { z } from "zod";
import type { Host } from "../../../kernel/host.ts";
import type { CheckpointStore } from "../delivery/delivery.ts";
import type { ChunkSource } from "./chunk.ts";
import type { fileKeys } from "./config.ts";
import type { FileEvents } from "./file-events.ts";
import { openFiles } from "./open-files.ts";

export interface SourcesOptions {
  readonly config: z.output<z.ZodObject<typeof fileKeys>>;
  readonly host: Host;
  readonly checkpoints: CheckpointStore;
  readonly events: FileEvents;
}

/** Begins at once. Throws nothing: what hinders it is told by `troubles`. */
export function openSources({ config, host, checkpoints, events }: SourcesOptions): ChunkSource {
  const { files = [], exclude, readFrom, maxLine, rotate, remove } = config;
  return openFiles({
    patterns: files,
    exclude,
    readFrom,
    maxLineBytes: maxLine,
    checkpoints,
    host,
    rotate,
    remove,
    events,
  });
}
