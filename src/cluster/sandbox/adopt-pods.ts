/** Goes on with the pods that an earlier engine has left running. */
import { readFileSync } from "node:fs";
import type { Clock } from "../../kernel/clock.ts";
import type { ProcessIdentity } from "../../lib/process-identity.ts";
import { adoptedExit } from "./adopted-exits.ts";
import type { Exits, ProcessExit } from "./exits.ts";
import { commandKeepers, type Keepers } from "./keeper.ts";
import type { KeptPods } from "./kept-pods.ts";
import type { Launcher } from "./launcher.ts";
import * as linux from "./linux-constants.ts";
import type { ProcessRecords } from "./leftovers.ts";
import { type FollowExit, adoptPodSandbox, type PodTools } from "./pod-sandbox.ts";
import { followHolder, type Holder, type HolderTools } from "./pod-sandbox-holder.ts";
import type { Readiness } from "./readiness.ts";
import type { AdoptedPod } from "./sandbox.ts";

export interface Adoption {
  readonly keepers: Keepers;
  readonly follow: FollowExit;
}

/** How the ends of adopted processes are learned. */
export function prepareAdoption(
  tools: {
    readonly launcher: Launcher;
    readonly exits: Exits;
    readonly clock: Clock;
    readonly readiness: Readiness;
  },
  kept: KeptPods,
): Adoption {
  const { launcher, exits, readiness } = tools;
  const keepers = commandKeepers(tools, kept.keepers);
  const follow = (identity: ProcessIdentity): Promise<ProcessExit> => {
    const ended = adoptedExit({ launcher, readiness }, identity);
    // A process namespace stays until everything that was in it has been reaped.
    void ended.then(() => keepers.reapSoon());
    return exits.adopt(identity.pid, ended);
  };
  return { keepers, follow };
}

/** The node's holder. */
export function adoptNode(tools: HolderTools, { node }: KeptPods, { follow }: Adoption): Holder {
  return followHolder(tools, node, follow(node));
}

/** All pods, and an end to what was left in between. */
export function adoptPods(tools: PodTools, kept: KeptPods, { keepers, follow }: Adoption): AdoptedPod[] {
  endStrays(tools, kept, keepers);
  const mounts = tmpfsMounts();
  return kept.pods.map((pod) => {
    const tmpfs = mounts.filter((path) => path.includes(`/${pod.details.spec.uid}/`));
    return adoptPodSandbox(tools, { ...pod, tmpfs, follow });
  });
}

function endStrays(
  { launcher, records }: { readonly launcher: Launcher; readonly records: ProcessRecords },
  { node, keepers: known, pods, strays }: KeptPods,
  keepers: Keepers,
): void {
  for (const identity of strays) {
    launcher.tryCall("kill", [identity.pid, linux.SIGKILL]);
    records.remove(identity);
  }
  const recorded = [
    node,
    ...[...known, ...pods, ...pods.flatMap((pod) => pod.containers)].map((one) => one.identity),
  ];
  keepers.killUnknown(new Set(recorded.map(({ pid }) => pid)));
  keepers.reapSoon();
}

/** Paths of all tmpfs that this mount namespace has, in the order in which they were mounted. */
function tmpfsMounts(): string[] {
  return readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .map((line) => line.split(" "))
    .filter((fields) => fields[fields.indexOf("-") + 1] === "tmpfs")
    .map((fields) => unescapePath(fields[4] ?? ""));
}

/** proc(5): blanks and backslashes are octal. */
function unescapePath(path: string): string {
  return path.replaceAll(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCodePoint(Number.parseInt(digits, 8)),
  );
}
