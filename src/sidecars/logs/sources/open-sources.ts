/** All the sources that a configuration names, as one stream: files, and the spools of what cannot be read twice. */
import type { z } from "zod";
import type { Host } from "../../../kernel/host.ts";
import type { CheckpointStore } from "../delivery/delivery.ts";
import type { ChunkSource } from "./chunk.ts";
import type { fileKeys } from "./config.ts";
import type { FileEvents } from "./file-events.ts";
import { openFiles } from "./open-files.ts";
import { openPush } from "./open-push.ts";
import type { PushConfig } from "./push-config.ts";
import type { PushSource } from "./push-source.ts";

export interface SourcesOptions {
  readonly config: z.output<z.ZodObject<typeof fileKeys>> & PushConfig;
  readonly host: Host;
  readonly checkpoints: CheckpointStore;
  readonly events: FileEvents;
  /** So many syslog messages over UDP had no room. */
  readonly lostMessages: (messages: number) => void;
}

/** Begins at once. What hinders it later is told by `troubles`; throws `Problem` E_SPOOL when there is no place to keep what comes in. */
export function openSources({
  config,
  host,
  checkpoints,
  events,
  lostMessages,
}: SourcesOptions): ChunkSource {
  const { files = [], exclude, readFrom, maxLine, rotate, remove } = config;
  const push = openPush({ config, host, lostMessages });
  const source = openFiles({
    patterns: files,
    exclude,
    readFrom,
    maxLineBytes: maxLine,
    checkpoints,
    host,
    rotate,
    remove,
    spooled: push.map(({ spooled }) => spooled),
    events,
  });
  return push.length === 0 ? source : withPush(source, push);
}

/** What is pushed goes into files first; these are read to their end when nothing more comes. */
function withPush(files: ChunkSource, push: readonly PushSource[]): ChunkSource {
  let isFinishing = false;
  const closePush = (): void => {
    for (const source of push) source.close();
  };
  return {
    next: (wakeAfterMs) => files.next(wakeAfterMs),
    finish() {
      if (isFinishing) return;
      isFinishing = true;
      void Promise.all(push.map((source) => source.finish())).then(() => files.finish());
    },
    // What comes in meanwhile is for the successor. Who writes to a FIFO that nobody reads is killed (SIGPIPE).
    abandon: () => files.abandon(),
    progress: () => files.progress(),
    troubles: () => [...push.flatMap((source) => source.troubles()), ...files.troubles()],
    close() {
      closePush();
      files.close();
    },
  };
}
