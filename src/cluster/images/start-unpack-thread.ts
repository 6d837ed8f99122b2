/** Unpacks an image in a thread of its own: file systems make their callers wait, and nobody else should. */
import { Worker } from "node:worker_threads";
import { ArchiveError } from "./archive-error.ts";
import type { FileRange } from "./byte-streams.ts";
import type { UnpackJob, UnpackOrder, UnpackReply } from "./unpack-protocol.ts";
import type { Unpacked } from "./unpack.ts";

export interface UnpackThread {
  /** Unpacks the next layer; resolves to the digest of its uncompressed form. Rejects with `ArchiveError` and others. */
  layer(range: FileRange, algorithm: string): Promise<string>;
  finish(): Promise<Unpacked>;
  /** Gives up what is being unpacked. Resolves once nothing is written any more. Idempotent. */
  close(): Promise<void>;
}

export function startUnpackThread(job: UnpackJob): UnpackThread {
  const worker = new Worker(new URL("./unpack-thread.ts", import.meta.url), { workerData: job });
  const ended = Promise.withResolvers<void>();
  let waiting: { resolve: (reply: UnpackReply) => void; reject: (because: unknown) => void } | undefined;
  worker.on("message", (reply: UnpackReply) => waiting?.resolve(reply));
  worker.on("error", (because) => waiting?.reject(because));
  worker.on("exit", () => {
    ended.resolve();
    waiting?.reject(new Error("the thread that unpacks images has ended"));
  });

  function tell(order: UnpackOrder): void {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- that is a window's; a thread has none
    worker.postMessage(order);
  }

  async function ask(order: UnpackOrder): Promise<Exclude<UnpackReply, { kind: "failed" }>> {
    const { promise, resolve, reject } = Promise.withResolvers<UnpackReply>();
    waiting = { resolve, reject };
    tell(order);
    const reply = await promise;
    if (reply.kind !== "failed") return reply;
    const { isArchiveError, message, code } = reply;
    if (isArchiveError) throw new ArchiveError(message);
    throw code === undefined ? new Error(message) : Object.assign(new Error(message), { code });
  }

  return {
    async layer(range, algorithm) {
      const reply = await ask({ kind: "layer", range, algorithm });
      if (reply.kind !== "layer") throw new Error(`the unpacking thread answered ${reply.kind}`);
      return reply.digest;
    },
    async finish() {
      const reply = await ask({ kind: "finish" });
      if (reply.kind !== "finished") throw new Error(`the unpacking thread answered ${reply.kind}`);
      return reply.unpacked;
    },
    async close() {
      tell({ kind: "stop" });
      await ended.promise;
    },
  };
}
