/** Turns what the probe found into words: the tier of this machine with its limits, or the problem and its way out. */
import { Problem } from "../../kernel/problem.ts";
import type { Cgroups } from "./cgroups/open-cgroups.ts";
import type { NoPacketFilter } from "./packet-filter.ts";
import type { ProbeResult } from "./probe.ts";
import type { MachineFacts } from "./probe-facts.ts";
import type { Tier } from "./sandbox.ts";

const ELSEWHERE = "use a real cluster (`pillion inject` prepares manifests for kind, k3s or any other)";

/** What cannot be done without; asked of the platform before anything else is tried. */
export function platformProblem({ platform, arch }: MachineFacts): Problem | undefined {
  if (platform === "linux" && (arch === "x64" || arch === "arm64")) return undefined;
  const fixes: Readonly<Record<string, string>> = {
    darwin: `Run Pillion in a Linux virtual machine (for example \`limactl start\`, then \`lima\`), or ${ELSEWHERE}`,
    win32: `Run Pillion in WSL 2 (\`wsl --install\`), or ${ELSEWHERE}`,
    linux: `Use a machine with an x64 or arm64 processor, or ${ELSEWHERE}`,
  };
  return new Problem({
    code: "E_UNSUPPORTED_PLATFORM",
    message: `Cannot run pods on this machine: they are Linux namespaces on x64 or arm64, and this is "${platform}" on "${arch}"`,
    fix: fixes[platform] ?? `Run Pillion on Linux, or ${ELSEWHERE}`,
  });
}

/** Why this machine gives us no namespaces, by the most likely cause; `detail` is what the kernel or unshare(1) said. */
export function noNamespaces(facts: MachineFacts, detail: string): Problem {
  const { because, fix } = causeOf(facts) ?? {
    because: detail,
    fix:
      facts.uid === 0
        ? `Ask who runs this machine to permit namespaces, or ${ELSEWHERE}`
        : `Run as root (\`sudo\`), or ${ELSEWHERE}`,
  };
  return new Problem({
    code: "E_NO_NAMESPACES",
    message: `Cannot run pods on this machine: ${because}`,
    fix,
    cause: detail,
  });
}

function causeOf(facts: MachineFacts): { readonly because: string; readonly fix: string } | undefined {
  if (facts.unshare === undefined) {
    return { because: 'the program "unshare" is not installed', fix: "Install the package util-linux" };
  }
  const contained = {
    because: "the container that this runs in forbids namespaces or mounts",
    fix: `Start the container with \`docker run --privileged\` (or \`podman run --privileged\`), or ${ELSEWHERE}`,
  };
  // A filter forbids whatever the settings of the machine say.
  if (facts.seccompFilter) return contained;
  const hasPower = facts.uid === 0 && facts.ids === "all";
  return (hasPower ? undefined : usernsCause(facts)) ?? (facts.inContainer ? contained : undefined);
}

function usernsCause(facts: MachineFacts): { readonly because: string; readonly fix: string } | undefined {
  if (facts.maxUserNamespaces === undefined) {
    return {
      because: "its kernel has no user namespaces (CONFIG_USER_NS)",
      fix: `Run as root (\`sudo\`), or ${ELSEWHERE}`,
    };
  }
  if (facts.maxUserNamespaces === 0) {
    return sysctlCause("user.max_user_namespaces", { is: "0", wanted: "15000" });
  }
  if (facts.usernsCloneForbidden) {
    return sysctlCause("kernel.unprivileged_userns_clone", { is: "0", wanted: "1" });
  }
  if (facts.apparmorRestricts) {
    return sysctlCause("kernel.apparmor_restrict_unprivileged_userns", { is: "1", wanted: "0" });
  }
  return undefined;
}

function sysctlCause(
  name: string,
  { is, wanted }: { readonly is: string; readonly wanted: string },
): { readonly because: string; readonly fix: string } {
  return {
    because: `"${name}" is ${is}, so ordinary users get no namespaces`,
    fix: `Run \`sudo sysctl -w ${name}=${wanted}\` (to keep it: a line in /etc/sysctl.d/), or run Pillion as root (\`sudo\`)`,
  };
}

/** Names the tier of an engine that is inside its namespaces; `withCgroups` completes it. Throws a Problem where pods would not run right. */
export function decideTier(facts: MachineFacts, probe: ProbeResult): Tier {
  const unsupported = platformProblem(facts);
  if (unsupported !== undefined) throw unsupported;
  const failed = Object.entries(probe).filter(([name, error]) => error !== undefined && name !== "setuid");
  if (failed.length > 0) throw probeProblem(facts, Object.fromEntries(failed));
  const otherUsers = probe.setuid === undefined;
  if (facts.ids === "all") return { name: "root", limits: [], otherUsers, resourceLimits: "none" };
  const limits = [
    "Ports below 1024 of this machine cannot be published. Run as root, or lower `net.ipv4.ip_unprivileged_port_start`.",
  ];
  if (otherUsers) return { name: "rootless-subuid", limits, otherUsers, resourceLimits: "none" };
  return {
    name: "rootless-1-id",
    limits: [oneIdLimit(facts), ...limits],
    otherUsers,
    resourceLimits: "none",
  };
}

/** Says of the tier what the control groups allow. */
export function withCgroups(tier: Tier, { kind, limits }: Pick<Cgroups, "kind" | "limits">): Tier {
  return { ...tier, resourceLimits: kind, limits: [...tier.limits, ...limits] };
}

/** Says of the tier what comes of a packet filter that is missing. */
export function noPacketFilterLimit({ because, fix }: NoPacketFilter): string {
  return `Pods reach no other machine, and Services are slower than they could be: ${because}. ${fix}.`;
}

function oneIdLimit({ newuidmap, subordinateIds }: MachineFacts): string {
  const missing: string[] = [];
  if (!newuidmap) missing.push("install the package uidmap (newuidmap, newgidmap)");
  if (!subordinateIds)
    missing.push(
      "give your user a range (`sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 $USER`)",
    );
  // Both are there and still only one id: unshare(1) before util-linux 2.38 has no --map-auto.
  if (missing.length === 0) missing.push("update util-linux to 2.38 or newer");
  return (
    "Containers run as one user: `runAsUser`, other owners of files and programs that change their user (nginx, postgres) fail. " +
    `To allow it, ${missing.join(" and ")}, or run as root.`
  );
}

/** Some checks failed: find the smallest change that helps. */
function probeProblem(facts: MachineFacts, failed: Partial<ProbeResult>): Problem {
  const detail = Object.entries(failed)
    .map(([name, error]) => `${name}: ${error}`)
    .join("; ");
  const names = Object.keys(failed);
  if (names.every((name) => name === "proc" || name === "sethostname" || name === "sysfs")) {
    return new Problem({
      code: "E_NO_NAMESPACES",
      message: `Cannot run pods on this machine: the container that this runs in masks /proc or /sys, so pods get none of their own (${detail})`,
      fix: `Start the container with \`docker run --privileged\`, or add \`--security-opt systempaths=unconfined\` (podman: \`--security-opt unmask=ALL\`), or ${ELSEWHERE}`,
    });
  }
  if (failed.detachedMount?.includes("ENOSYS")) {
    return new Problem({
      code: "E_NO_NAMESPACES",
      message: `Cannot run pods on this machine: kernel ${facts.kernel} lacks mount_setattr (${detail})`,
      fix: `Use Linux 5.12 or newer, or ${ELSEWHERE}`,
    });
  }
  if (names.length === 1 && failed.overlay !== undefined) {
    const rootless = facts.ids !== "all";
    return new Problem({
      code: "E_NO_NAMESPACES",
      message: `Cannot run pods on this machine: kernel ${facts.kernel} refuses overlay file systems${rootless ? " to ordinary users" : ""} (${detail})`,
      fix: rootless
        ? `Run as root (\`sudo\`), or use Linux 5.11 or newer`
        : "Load the module (`modprobe overlay`)",
    });
  }
  return noNamespaces(facts, detail);
}
