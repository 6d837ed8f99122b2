import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { EngineFolder, engineWays } from "../../testing/engine-ways.ts";
import { CLUSTER_IP, CONFORMING } from "./service-conformance.test-support.ts";

const program = [process.execPath, join(import.meta.dir, "service-proxy.test-support.ts")];

describe.each(engineWays)("relaying to Services between pods $name", (way) => {
  test("conforms: ready endpoints only, draining, affinity, refusals, half-close, back-pressure, datagrams [SV3, SV9]", async () => {
    await using folder = new EngineFolder(way);
    const { found, own } = await folder.result([...program, folder.stateDir]);
    expect(found).toEqual(CONFORMING);
    expect(own).toEqual({
      skips: ["a", "a", "a"],
      nobodyAnswers: "ECONNRESET",
      silent: ["a", "a"],
      nodePortFromHere: "a",
      nodePortByDatagrams: "a heard this machine",
      nodePortFromPod: "a",
      twice: [
        {
          route: "test/other:1/TCP",
          address: { place: "node", ip: CLUSTER_IP, port: 1 },
          code: "EADDRINUSE",
        },
      ],
      noNodePort: "ECONNREFUSED",
      afterwards: [],
      afterClose: "ECONNREFUSED",
    });
  }, 60_000);
});
