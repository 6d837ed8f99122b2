/** The foreground view of `pillion up`: every change of a pod's status, and every container's log, as they happen. */
import type { Pod } from "../../generated/kubernetes.ts";
import { messageOf, Problem } from "../kernel/problem.ts";
import type { ApiClient } from "./api-client.ts";
import { TABLE_ACCEPT, type ApiTable } from "./table.ts";
import type { Terminal } from "./command.ts";

interface TableEvent {
  readonly type: string;
  readonly object: ApiTable & { readonly kind: string; readonly message?: string };
}

/** Runs until `signal` aborts. Rejects with `E_API_UNREACHABLE` when the cluster is gone. */
export async function followPods(api: ApiClient, terminal: Terminal, signal: AbortSignal): Promise<void> {
  const logs = new LogFollower(api, terminal, signal);
  const shown = new Map<string, string>();
  while (!signal.aborted) {
    const path = "/api/v1/pods?watch=true&includeObject=Object";
    const response = await api.open(path, { accept: TABLE_ACCEPT, signal });
    try {
      for await (const line of api.linesOf(response, signal)) {
        const { type, object } = JSON.parse(line) as TableEvent;
        if (type === "ERROR") break; // The history is gone: start over from what is there.
        for (const row of object.rows ?? []) showRow({ row, type, shown, logs, terminal });
      }
    } catch (error) {
      // The connection broke: the next request finds out whether anybody is there.
      if (!(error instanceof Problem)) throw error;
    }
  }
}

function showRow({
  row,
  type,
  shown,
  logs,
  terminal,
}: {
  readonly row: ApiTable["rows"][number];
  readonly type: string;
  readonly shown: Map<string, string>;
  readonly logs: LogFollower;
  readonly terminal: Terminal;
}): void {
  const pod = row.object as Pod;
  const name = nameOf(pod);
  // Columns of `kubectl get pods`: NAME READY STATUS RESTARTS AGE.
  const [, ready, status, restarts] = row.cells;
  const text =
    type === "DELETED"
      ? "gone"
      : `${String(ready)} ${String(status)}${restarts === 0 || restarts === "0" ? "" : `, restarts: ${String(restarts)}`}`;
  if (shown.get(name) !== text) terminal.err(`pod/${name}: ${text}\n`);
  if (type === "DELETED") shown.delete(name);
  else shown.set(name, text);
  logs.note(pod);
}

class LogFollower {
  readonly #api: ApiClient;
  readonly #terminal: Terminal;
  readonly #signal: AbortSignal;
  readonly #followed = new Set<string>();

  constructor(api: ApiClient, terminal: Terminal, signal: AbortSignal) {
    this.#api = api;
    this.#terminal = terminal;
    this.#signal = signal;
  }

  /** Starts following every container instance of this pod that has started and is not followed yet. */
  note(pod: Pod): void {
    const statuses = [...(pod.status?.initContainerStatuses ?? []), ...(pod.status?.containerStatuses ?? [])];
    for (const { name, containerID } of statuses) {
      if (!containerID || this.#followed.has(containerID)) continue;
      this.#followed.add(containerID);
      const namespace = pod.metadata?.namespace ?? "default";
      const path = `/api/v1/namespaces/${namespace}/pods/${pod.metadata?.name}/log?follow=true&container=${name}`;
      void this.#print(`${nameOf(pod)}/${name}`, path);
    }
  }

  async #print(source: string, path: string): Promise<void> {
    try {
      for await (const line of this.#api.lines(path, this.#signal))
        this.#terminal.out(`[${source}] ${line}\n`);
    } catch (error) {
      // A cluster that ends cuts off what does not end by itself in time.
      const isEnding = this.#signal.aborted || this.#terminal.stop.aborted;
      if (!isEnding) this.#terminal.err(`[${source}] its log cannot be read: ${messageOf(error)}\n`);
    }
  }
}

/** `NAME` in the default namespace, else `NAMESPACE/NAME`. */
function nameOf({ metadata }: Pod): string {
  const name = metadata?.name ?? "";
  return metadata?.namespace === "default" ? name : `${metadata?.namespace}/${name}`;
}
