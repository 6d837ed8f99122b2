import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { EngineFolder, engineWays } from "../../../testing/engine-ways.ts";
import { hasNft } from "../../../testing/nft.ts";
import { CONFORMING } from "../service-conformance.test-support.ts";

const program = [process.execPath, join(import.meta.dir, "kernel-services.test-support.ts")];

describe.skipIf(!hasNft).each(engineWays)("the kernel leads to Services $name", (way) => {
  test("conforms as the relay does: ready endpoints only, draining, affinity, refusals, datagrams [SV3, SV9]", async () => {
    await using folder = new EngineFolder(way);
    const { found, own } = await folder.result([...program, folder.stateDir]);
    expect(found).toEqual(CONFORMING);
    expect(own).toEqual({
      nonsense: expect.stringContaining("nft says: "),
      halfOfIt: "nothing",
      refused: [],
      leftOpen: [],
      mendedBecause: 1,
      nodePorts: ["a", "a", "a"],
      noNodePort: "ECONNREFUSED",
      beforeAnybody: "ECONNREFUSED",
      onceThereIsOne: "b heard 2",
      mended: "b",
      podsDirectly: "a",
      ownSocket: "engine",
      manyAtOnce: "ECONNREFUSED b",
    });
  }, 60_000);
});
