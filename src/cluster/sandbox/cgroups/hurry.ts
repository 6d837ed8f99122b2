/** What stands in the way of a group's processes, and is put out of the way while the engine or the machine waits for them. */
import { type GroupLimits, UNLIMITED } from "./cgroup-driver.ts";

/** Of `cpu.shares`; the most that the kernel takes. */
export const MAX_SHARES = 262_144;

/** As much processor time as there is; memory stays limited, but an OOM kill takes one process only. */
export function hurried({ cpuShares, cpuQuota, oomGroup }: GroupLimits): GroupLimits {
  return {
    ...(cpuShares === undefined ? {} : { cpuShares: MAX_SHARES }),
    ...(cpuQuota === undefined ? {} : { cpuQuota: UNLIMITED }),
    ...(oomGroup === undefined ? {} : { oomGroup: false }),
  };
}

/** What `hurried` has changed, as it was. */
export function unhurried({ cpuShares, cpuQuota, oomGroup }: GroupLimits): GroupLimits {
  return {
    ...(cpuShares === undefined ? {} : { cpuShares }),
    ...(cpuQuota === undefined ? {} : { cpuQuota }),
    ...(oomGroup === undefined ? {} : { oomGroup }),
  };
}
