import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { EngineFolder, engineWays } from "../../../testing/engine-ways.ts";
import { snapshotHost } from "../../../testing/host-snapshot.ts";
import { hasNft } from "../../../testing/nft.ts";

const program = ["unshare", "--net", process.execPath, join(import.meta.dir, "egress.test-support.ts")];

describe.skipIf(!hasNft).each(engineWays)("the way out of pods $name", (way) => {
  test("leads to other machines by TCP, never to this one, and leaves nothing behind", async () => {
    await using folder = new EngineFolder(way);
    const before = snapshotHost(folder.path);
    expect(await folder.result([...program, folder.stateDir])).toEqual({
      without: "ENETUNREACH",
      reached: "internet",
      halfClose: "internet heard hello",
      flood: { isHeldBack: true, isComplete: true },
      many: ["internet"],
      nobodyListens: "ECONNRESET",
      nobodyThere: "ECONNRESET",
      thisMachine: "ECONNRESET",
      thisMachineByRoute: "ECONNRESET",
      thisMachineWithoutCable: "ECONNRESET",
      metadata: "ECONNRESET",
      loopback: "ECONNREFUSED",
      enginesOwnPort: "ECONNRESET",
      noPod: "ECONNREFUSED",
      fromNode: "internet",
      fromNodeToThisMachine: "ECONNRESET",
      fromNodeToItself: "ECONNREFUSED",
      datagrams: "ENETUNREACH",
      serviceAbroad: "internet",
      goesAway: "gone",
      crowd: { oneMore: "ECONNRESET", ofAnother: "internet", later: "internet" },
      afterClose: "ECONNREFUSED",
      openAfterClose: "ECONNRESET",
    });
    expect(snapshotHost(folder.path)).toEqual(before);
  }, 60_000);
});
