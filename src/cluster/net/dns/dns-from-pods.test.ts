import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { EngineFolder, engineWays } from "../../../testing/engine-ways.ts";

const program = [process.execPath, join(import.meta.dir, "dns-from-pods.test-support.ts")];

describe.each(engineWays)("a pod $name", (way) => {
  test("learns the cluster's names, and through it what this machine's resolver knows [SV7, SV8]", async () => {
    await using folder = new EngineFolder(way);
    const { found } = await folder.result([...program, folder.stateDir]);
    expect(found).toEqual({
      "web.default.svc.cluster.local": "10.96.7.7",
      "www.example.com": "192.0.2.0",
      "many.example.com": 300,
      "nobody.example.com": "ENOTFOUND",
      "outside.default.svc.cluster.local": "192.0.2.0",
    });
  }, 60_000);
});
