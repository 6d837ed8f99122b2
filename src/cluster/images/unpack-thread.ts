/** The other side of `startUnpackThread`: unpacks layers in the order they are asked for, one at a time. */
import { createHash } from "node:crypto";
import { parentPort, workerData } from "node:worker_threads";
import { ArchiveError } from "./archive-error.ts";
import { observed, readFileRange } from "./byte-streams.ts";
import type { UnpackJob, UnpackOrder, UnpackReply } from "./unpack-protocol.ts";
import { unpackInto } from "./unpack.ts";
import type { Unpacker } from "./unpack.ts";

function serve(port: NonNullable<typeof parentPort>, { root, limits }: UnpackJob): void {
  const stop = new AbortController();
  const unpacker = unpackInto(root, limits);
  let isBusy = false;
  port.on("message", (order: UnpackOrder) => {
    if (order.kind === "stop") {
      stop.abort();
      // An end while something is being written would leave the other side to remove a folder that still grows.
      if (!isBusy) port.close();
      return;
    }
    void answer(order);
  });

  async function answer(order: Exclude<UnpackOrder, { kind: "stop" }>): Promise<void> {
    isBusy = true;
    const reply = await obey(order, { unpacker, signal: stop.signal });
    isBusy = false;
    port.postMessage(reply);
    if (stop.signal.aborted) port.close();
  }
}

async function obey(
  order: Exclude<UnpackOrder, { kind: "stop" }>,
  { unpacker, signal }: { readonly unpacker: Unpacker; readonly signal: AbortSignal },
): Promise<UnpackReply> {
  try {
    if (order.kind === "finish") return { kind: "finished", unpacked: unpacker.finish() };
    const { range, algorithm } = order;
    const digest = createHash(algorithm);
    const bytes = readFileRange(range);
    const source = observed(bytes, () => signal.throwIfAborted());
    await unpacker.layer(source, (chunk) => digest.update(chunk));
    return { kind: "layer", digest: `${algorithm}:${digest.digest("hex")}` };
  } catch (because) {
    const code = because instanceof Error && "code" in because ? { code: String(because.code) } : {};
    const message = because instanceof Error ? because.message : String(because);
    return { kind: "failed", isArchiveError: because instanceof ArchiveError, message, ...code };
  }
}

if (parentPort !== null) serve(parentPort, workerData as UnpackJob);
