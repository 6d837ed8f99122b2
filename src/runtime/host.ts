/** The real world, as a sidecar may touch it. */
import type { Clock } from "../kernel/clock.ts";
import type { Health } from "../kernel/health.ts";
import type { FolderWatch, Host, Log, PodIdentity, SecretSource } from "../kernel/host.ts";
import { replaceFile } from "../lib/atomic-file.ts";
import type { Output } from "../lib/output.ts";
import { readSecret } from "../lib/read-secret.ts";
import { sleep } from "../lib/sleep.ts";
import type { FolderWatches } from "./folder-watches.ts";

/** What all sidecars of a process share. */
export interface World {
  readonly clock: Clock;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly pod: PodIdentity;
  readonly stdout: Output;
  readonly watches: FolderWatches;
}

/** What is a sidecar's own. */
export interface HostOptions {
  readonly log: Log;
  readonly stateFolder: string;
  readonly report: (health: Health) => void;
  /** Hears of callbacks that throw. */
  readonly blame: (thrown: unknown) => void;
}

/** Makes the host of one run of a sidecar. */
export function createHost(world: World, { log, stateFolder, report, blame }: HostOptions): Host {
  const { clock, env, pod, stdout, watches } = world;
  return {
    now: () => clock.now(),
    monotonic: () => clock.monotonic(),
    schedule: (ms, callback) => clock.schedule(ms, guard(callback, blame)),
    sleep: (ms, signal) => sleep(ms, clock, signal),
    fetch: (url, init) => fetch(url, unlimited(init)),
    writeFileAtomic: replaceFile,
    readSecret: (source: SecretSource) => readSecret(source, env),
    watchFolder: (path, changed): FolderWatch => watches.watch(path, guard(changed, blame)),
    writeStdout: (data) => stdout.write(data),
    report,
    log,
    pod,
    stateFolder,
  };
}

/** Bun ends a request that is silent for five minutes, and follows redirects with the request's own credentials. */
function unlimited(init: RequestInit | undefined): BunFetchRequestInit {
  return { ...init, redirect: "manual", timeout: false };
}

/** What one sidecar's callback throws is that sidecar's business. */
function guard<Given extends readonly unknown[]>(
  callback: (...given: Given) => void,
  blame: (thrown: unknown) => void,
): (...given: Given) => void {
  return (...given) => {
    try {
      callback(...given);
    } catch (thrown) {
      blame(thrown);
    }
  };
}
