/** Hands out the addresses of pods: none twice at a time, and a freed one as late as possible. */
import { formatIpv4Range, type Ipv4Range, rangeSize } from "../../lib/ipv4.ts";
import { Problem } from "../../kernel/problem.ts";

export interface AddressLease {
  /** An unsigned number. */
  readonly address: number;
  /** Another pod had it before. */
  readonly reused: boolean;
}

export interface AddressPool {
  /** The next address. Throws a Problem when all are in use. */
  take(): AddressLease;
  /** Takes an address that a pod of an earlier engine has. */
  adopt(address: number): void;
  /** Gives one back. Clients that still remember it must not meet another pod at once, so the oldest goes out first. */
  free(address: number): void;
}

/** A pool over `range` without its first (network), second (gateway) and last (broadcast) address. */
export function addressPool(range: Ipv4Range): AddressPool {
  const end = range.base + rangeSize(range) - 1;
  const inUse = new Set<number>();
  /** A Set keeps the order of insertion, so the first is the one that was freed first. */
  const freed = new Set<number>();
  let fresh = range.base + 2;
  /** An earlier engine has handed out addresses that nobody knows of. */
  let isAdopted = false;
  return {
    take() {
      while (inUse.has(fresh)) fresh++;
      const isUsedUp = fresh >= end;
      const [oldest] = freed;
      const address = isUsedUp ? oldest : fresh++;
      if (address === undefined) throw exhausted(range, inUse.size);
      freed.delete(address);
      inUse.add(address);
      return { address, reused: isUsedUp || isAdopted };
    },
    adopt(address) {
      isAdopted = true;
      inUse.add(address);
    },
    free(address) {
      if (inUse.delete(address)) freed.add(address);
    },
  };
}

function exhausted(range: Ipv4Range, count: number): Problem {
  return new Problem({
    code: "E_NO_POD_ADDRESS",
    message: `Cannot give the pod an address: all ${count} of ${formatIpv4Range(range)} are in use`,
    fix: "Delete pods, or start the cluster with a larger pod range",
  });
}
