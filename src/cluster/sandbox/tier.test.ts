import { describe, expect, test } from "bun:test";
import { Problem } from "../../kernel/problem.ts";
import type { ProbeResult } from "./probe.ts";
import type { MachineFacts } from "./probe-facts.ts";
import { decideTier, noNamespaces, noPacketFilterLimit, platformProblem, withCgroups } from "./tier.ts";

const ROOT: MachineFacts = {
  platform: "linux",
  arch: "x64",
  kernel: "6.1.0",
  uid: 0,
  capabilities: 0x1ff_ffff_ffffn,
  ids: "all",
  seccompFilter: false,
  inContainer: false,
  maxUserNamespaces: 15_000,
  usernsCloneForbidden: false,
  apparmorRestricts: false,
  unshare: "/usr/bin/unshare",
  newuidmap: true,
  subordinateIds: true,
};
const USER: MachineFacts = { ...ROOT, uid: 1000, capabilities: 0n };
const ALL_WORKS: ProbeResult = {
  podNamespaces: undefined,
  sethostname: undefined,
  containerNamespaces: undefined,
  tmpfs: undefined,
  bind: undefined,
  detachedMount: undefined,
  overlay: undefined,
  proc: undefined,
  sysfs: undefined,
  setuid: undefined,
};

function problemFrom(action: () => unknown): Problem {
  try {
    action();
  } catch (error) {
    if (error instanceof Problem) return error;
  }
  throw new Error("no Problem was thrown");
}

describe("platformProblem()", () => {
  test.each([
    ["darwin", "arm64", "virtual machine"],
    ["win32", "x64", "WSL 2"],
    ["freebsd", "x64", "Run Pillion on Linux"],
    ["linux", "riscv64", "x64 or arm64 processor"],
  ])("platformProblem() names a way out on %s %s", (platform, arch, way) => {
    const problem = platformProblem({ ...ROOT, platform, arch });
    expect(problem?.code).toBe("E_UNSUPPORTED_PLATFORM");
    expect(problem?.message).toContain(`"${platform}" on "${arch}"`);
    expect(problem?.fix).toContain(way);
    expect(problem?.fix).toContain("real cluster");
  });

  test.each(["x64", "arm64"])("Linux on %s is fine", (arch) => {
    expect(platformProblem({ ...ROOT, arch })).toBeUndefined();
  });
});

describe("noNamespaces()", () => {
  const cases: readonly [string, MachineFacts, string][] = [
    ["no unshare", { ...USER, unshare: undefined }, "Install the package util-linux"],
    ["a kernel without user namespaces", { ...USER, maxUserNamespaces: undefined }, "Run as root (`sudo`)"],
    ["the limit 0", { ...USER, maxUserNamespaces: 0 }, "`sudo sysctl -w user.max_user_namespaces=15000`"],
    [
      "old Debian's switch",
      { ...USER, usernsCloneForbidden: true },
      "`sudo sysctl -w kernel.unprivileged_userns_clone=1`",
    ],
    [
      "Ubuntu's AppArmor",
      { ...USER, apparmorRestricts: true },
      "`sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0`",
    ],
    [
      "Docker's seccomp filter, whatever the sysctls say",
      { ...ROOT, seccompFilter: true, inContainer: true, maxUserNamespaces: 0, apparmorRestricts: true },
      "docker run --privileged",
    ],
    ["a container without a filter", { ...ROOT, inContainer: true }, "docker run --privileged"],
    ["something unknown as an ordinary user", USER, "Run as root (`sudo`)"],
    ["something unknown as root", ROOT, "real cluster"],
  ];
  test.each(cases)("noNamespaces() knows what to change for %s", (_, facts, fix) => {
    const problem = noNamespaces(facts, "unshare: unshare failed: Operation not permitted");
    expect(problem.code).toBe("E_NO_NAMESPACES");
    expect(problem.message).toStartWith("Cannot run pods on this machine: ");
    expect(problem.fix).toContain(fix);
  });

  test("noNamespaces() repeats what the kernel said when it knows no cause", () => {
    expect(noNamespaces(USER, "unshare: clone failed: No space left on device").message).toBe(
      "Cannot run pods on this machine: unshare: clone failed: No space left on device",
    );
  });
});

describe("decideTier()", () => {
  test("root has no limits", () => {
    expect(decideTier(ROOT, ALL_WORKS)).toMatchObject({ name: "root", limits: [], otherUsers: true });
  });

  test("a range of ids is rootless-subuid, without limits about users", () => {
    const tier = decideTier({ ...USER, ids: "range" }, ALL_WORKS);
    expect([tier.name, tier.otherUsers]).toEqual(["rootless-subuid", true]);
    expect(tier.limits.join(" ")).not.toContain("runAsUser");
  });

  test.each([
    [{ newuidmap: false, subordinateIds: true }, "install the package uidmap"],
    [{ newuidmap: true, subordinateIds: false }, "usermod --add-subuids"],
    [{ newuidmap: true, subordinateIds: true }, "update util-linux"],
  ])("one id is rootless-1-id, and its limits say what would give more: %p", (missing, advice) => {
    const probed = { ...ALL_WORKS, setuid: "setresgid(): invalid argument (EINVAL)" };
    const tier = decideTier({ ...USER, ids: "one", ...missing }, probed);
    expect([tier.name, tier.otherUsers]).toEqual(["rootless-1-id", false]);
    expect(tier.limits[0]).toContain(advice);
  });

  test("a masked /proc is refused, naming the option that unmasks it", () => {
    const probed = { ...ALL_WORKS, proc: "mount(proc): EPERM", sethostname: "sethostname(): EPERM" };
    const problem = problemFrom(() => decideTier({ ...ROOT, inContainer: true }, probed));
    expect(problem.code).toBe("E_NO_NAMESPACES");
    expect(problem.message).toContain("proc: mount(proc): EPERM");
    expect(problem.fix).toContain("--security-opt systempaths=unconfined");
  });

  test("an old kernel that keeps overlays from ordinary users is named", () => {
    const probed = { ...ALL_WORKS, overlay: "mount(overlay): EPERM" };
    const problem = problemFrom(() => decideTier({ ...USER, kernel: "5.4.0", ids: "one" }, probed));
    expect(problem.message).toContain("kernel 5.4.0 refuses overlay file systems to ordinary users");
    expect(problem.fix).toContain("Linux 5.11");
    expect(problemFrom(() => decideTier(ROOT, probed)).fix).toContain("modprobe overlay");
  });

  test("a kernel without mount_setattr is too old, whatever else fails", () => {
    const probed = {
      ...ALL_WORKS,
      detachedMount: "mount_setattr(): ENOSYS",
      overlay: "mount(overlay): EPERM",
    };
    const problem = problemFrom(() => decideTier({ ...ROOT, kernel: "5.10.0" }, probed));
    expect([problem.code, problem.fix]).toEqual(["E_NO_NAMESPACES", expect.stringContaining("Linux 5.12")]);
  });

  test("forbidden namespaces lead to the cause of the machine", () => {
    const probed = { ...ALL_WORKS, containerNamespaces: "clone(): EPERM", podNamespaces: "clone(): EPERM" };
    const problem = problemFrom(() => decideTier({ ...ROOT, seccompFilter: true }, probed));
    expect(problem.fix).toContain("docker run --privileged");
  });
});

test("noPacketFilterLimit() says what pods cannot do, why, and what would help", () => {
  expect(noPacketFilterLimit({ because: "it rains", fix: "Wait" })).toBe(
    "Pods reach no other machine, and Services are slower than they could be: it rains. Wait.",
  );
});

test("withCgroups() says who enforces limits, and why nobody does", () => {
  const tier = decideTier(ROOT, ALL_WORKS);
  expect(withCgroups(tier, { kind: "cgroup-v1", limits: [] })).toEqual({
    ...tier,
    resourceLimits: "cgroup-v1",
  });
  expect(withCgroups(tier, { kind: "none", limits: ["Because."] })).toMatchObject({
    resourceLimits: "none",
    limits: ["Because."],
  });
});
