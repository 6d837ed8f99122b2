/** What has to change so that a running process does what a new configuration says. */
import type { SidecarEntry } from "../config/sidecar-file.ts";
import type { RuntimeSettings } from "../config/sidecar-schema.ts";

export interface ReloadPlan {
  readonly start: readonly SidecarEntry[];
  readonly restart: readonly SidecarEntry[];
  /** Names. */
  readonly stop: readonly string[];
}

/** Compares by name and fingerprint; the order in the file means nothing. */
export function planReload(now: readonly SidecarEntry[], next: readonly SidecarEntry[]): ReloadPlan {
  const old = new Map(now.map((entry) => [entry.name, entry.fingerprint]));
  const wanted = new Set(next.map(({ name }) => name));
  return {
    start: next.filter(({ name }) => !old.has(name)),
    restart: next.filter(({ name, fingerprint }) => old.has(name) && old.get(name) !== fingerprint),
    stop: now.map(({ name }) => name).filter((name) => !wanted.has(name)),
  };
}

/** Keys whose change only a new process can follow. */
export function needRestart(running: RuntimeSettings, next: RuntimeSettings): readonly string[] {
  const changed: readonly (readonly [string, boolean])[] = [
    ["state", running.state !== next.state],
    ["admin.port", running.admin.port !== next.admin.port],
    ["admin.socket", running.admin.socket !== next.admin.socket],
  ];
  return changed.flatMap(([key, isChanged]) => (isChanged ? [key] : []));
}
