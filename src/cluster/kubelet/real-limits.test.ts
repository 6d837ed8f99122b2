import { expect, test } from "bun:test";
import { cpuWeight } from "../sandbox/cgroups/v2-driver.ts";
import { EngineFolder, type EngineWay, engineWays } from "../../testing/engine-ways.ts";
import { scenarioCommand } from "./real-limits.test-support.ts";

const MIB = 2 ** 20;

const asRoot = engineWays.filter(({ tier }) => tier === "root");
const asUser = engineWays.filter(({ tier }) => tier !== "root");

async function found(way: EngineWay) {
  await using folder = new EngineFolder(way);
  return await folder.result(scenarioCommand(folder.stateDir));
}

/** As each version of control groups writes them. */
function limits(
  kind: unknown,
  { memory, shares, quota }: { memory?: number; shares: number; quota?: number },
) {
  if (kind === "cgroup-v2") {
    const text = `${quota ?? "max"} 100000`;
    return { memory: String(memory ?? "max"), shares: String(cpuWeight(shares)), quota: text };
  }
  return {
    memory: memory === undefined ? expect.stringMatching(/^9\d{18}$/) : String(memory),
    shares: String(shares),
    quota: String(quota ?? -1),
  };
}

const ASKED = { limits: { memory: "32Mi", cpu: "500m" }, requests: { memory: "16Mi", cpu: "250m" } };
const KILLED = { exitCode: 137, reason: "OOMKilled" };

test.each(asRoot)(
  "$name, root: limits hold, each class of pods has its place, and what goes beyond is OOMKilled [G1, G2, G3, G4, V5, S14]",
  async (way) => {
    const result = await found(way);
    const kind = result["resourceLimits"];
    if (kind === "none") {
      console.log("skipped: no memory controller of control groups can be used here");
      return;
    }
    const places = result["places"] as Record<string, unknown>;
    expect(places["guaranteed"]).toMatchObject({
      path: "kubepods/podUID/ID",
      container: limits(kind, { memory: 32 * MIB, shares: 512, quota: 50_000 }),
      pod: limits(kind, { memory: 32 * MIB, shares: 512, quota: 50_000 }),
    });
    expect(places["burstable"]).toMatchObject({
      path: "kubepods/burstable/podUID/ID",
      oomScoreAdj: 999,
      container: limits(kind, { memory: 32 * MIB, shares: 256, quota: 50_000 }),
      // The sidecar has no limit, so that the pod has none.
      pod: limits(kind, { shares: 256 }),
      resources: ASKED,
      allocated: ASKED.requests,
    });
    expect(places["besteffort"]).toMatchObject({
      path: "kubepods/besteffort/podUID/ID",
      oomScoreAdj: 1000,
      container: limits(kind, { shares: 2 }),
      pod: limits(kind, { shares: 2 }),
    });
    expect(places["stays"]).toEqual([]);
    expect(result["kills"]).toEqual({
      // Too little to become a program; the engine, whose memory the start shares until then, is not harmed.
      tiny: expect.objectContaining({ reason: expect.stringMatching(/^(StartError|OOMKilled)$/) }),
      hog: KILLED,
      phase: "Failed",
      // Version 1 kills the one process; process 1 goes on, and the container still counts as OOMKilled when it ends.
      child: kind === "cgroup-v2" ? KILLED : { exitCode: 3, reason: "OOMKilled" },
      "child said": kind === "cgroup-v2" ? "" : "Killed\nchild: 137\n",
      "memory-volume": KILLED,
      again: KILLED,
    });
    expect(result).toMatchObject({ warnings: [], errors: [], left: [] });
    expectUsage(result["usage"], 8);
  },
  60_000,
);

function expectUsage(usage: unknown, megabytes: number): void {
  expect(usage).toEqual({
    container: "app",
    cpuMs: expect.any(Number),
    megabytes: expect.any(Number),
    nodeHasMore: true,
  });
  const measured = usage as { cpuMs: number; megabytes: number };
  expect(measured.cpuMs).toBeGreaterThan(10);
  expect(measured.megabytes).toBeGreaterThan(megabytes);
  expect(measured.megabytes).toBeLessThan(megabytes + 24);
}

test.each(asUser)(
  "$name, not root: pods run without limits, an event says so, and what they use is summed up over their processes",
  async (way) => {
    const result = await found(way);
    // With version 2 a session of systemd may well have been given groups of its own.
    if (result["resourceLimits"] !== "none") return;
    expect(result["warnings"]).toEqual([
      expect.stringMatching(
        /^limited: Memory and CPU limits of containers are not enforced: .+\. To have them, .+\.$/,
      ),
    ]);
    expect(result).toMatchObject({ errors: [], left: [] });
    expectUsage(result["usage"], 0);
  },
  60_000,
);
