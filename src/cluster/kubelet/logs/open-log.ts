/** `KubeletPort.openLog` over the log files of a pod's containers. */
import { join } from "node:path";
import { asPod } from "../../../k8s/pod.ts";
import { StatusError } from "../../../k8s/status-error.ts";
import type { Clock } from "../../../kernel/clock.ts";
import type { Store } from "../../store/store.ts";
import { containerLogFolder, type StateFolders } from "../kubelet-context.ts";
import type { KubeletPort, LogOptions } from "../port.ts";
import { logInstance } from "./log-instance.ts";
import { logStream } from "./log-stream.ts";
import { logTime } from "./log-text.ts";

export interface LogFacts {
  readonly store: Store;
  readonly clock: Clock;
  readonly folders: StateFolders;
  /** Settled when the container's present instance has ended; `undefined` when none runs. */
  readonly ended: (podUid: string, container: string) => Promise<unknown> | undefined;
}

export function openLog(facts: LogFacts): KubeletPort["openLog"] {
  return async (at, options, signal) => {
    const object = facts.store.get("pods", at);
    if (object === undefined) {
      throw new StatusError("NotFound", `pods "${at.name}" not found`, { name: at.name, kind: "pods" });
    }
    const pod = asPod(object);
    const { restartCount, isRunning } = logInstance(pod, options);
    const folder = containerLogFolder(facts.folders, pod, options.container);
    const ended = options.follow && isRunning ? facts.ended(pod.metadata.uid, options.container) : undefined;
    const since = sinceOf(options, facts.clock.now());
    return logStream({
      path: join(folder, `${restartCount}.log`),
      timestamps: options.timestamps,
      signal,
      ...(since === undefined ? {} : { since }),
      ...(ended === undefined ? {} : { ended }),
      ...(options.tailLines === undefined ? {} : { tailLines: options.tailLines }),
      ...(options.limitBytes === undefined ? {} : { limitBytes: options.limitBytes }),
    });
  };
}

function sinceOf({ sinceSeconds, sinceTime }: LogOptions, now: number): string | undefined {
  if (sinceSeconds !== undefined) return logTime(now - sinceSeconds * 1000);
  return sinceTime === undefined ? undefined : logTime(Date.parse(sinceTime));
}
