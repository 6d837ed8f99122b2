import { describe, expect, test } from "bun:test";
import { EngineFolder, engineWays } from "../../testing/engine-ways.ts";
import { scenarioCommand } from "./real-volumes.test-support.ts";

describe.each(engineWays)("volumes of real pods $name", (way) => {
  test("are what the specification says, seen from inside [E14, N2, N3, N5, N8, N10, V3, V7, V8, V10, V12, V15, V18, V19, V22, V23]", async () => {
    await using folder = new EngineFolder(way);
    const found = await folder.result(scenarioCommand(folder.stateDir));
    const hasUsers = found["tier"] === "root" || found["tier"] === "rootless-subuid";
    expect(found).toEqual({
      tier: found["tier"],
      update: ["watching", "event rename ..data", "moved true", "new 2 open 1 subPath 1"],
      ownership: hasUsers
        ? {
            lines: [
              "2777 0:4321",
              "2777 0:4321",
              "644 0:4321",
              "440 0:4321",
              "640 1000:4321",
              "4321",
              "hunter2",
              "token-1",
              "1000 4321",
            ],
            warnings: [],
          }
        : {
            lines: expect.any(Array),
            warnings: [
              expect.stringContaining(
                "securityContext.fsGroup 4321 is not applied to volumes: this cluster has only one group id",
              ),
            ],
          },
      limits: [
        "full",
        "1048576",
        "256 * 4096",
        "1",
        "key",
        "nested",
        expect.stringContaining("No such file"),
        "nothing",
        "read-only",
        "x",
      ],
      attack: [
        'failed to prepare subPath for volumeMount "v" of container "app"',
        'failed to prepare subPath for volumeMount "v" of container "other"',
      ],
      namespaces: [
        "77",
        "box",
        "1",
        "192.0.2.9\talias.example\tother.example",
        "search one.example",
        "nameserver 192.0.2.53",
        "options ndots:2",
        "/made/by/the/runtime",
        "box",
      ],
      hostPort: { answer: "from the pod", after: "ECONNREFUSED" },
      hostNetwork: {
        isNode: true,
        hosts: "# Kubernetes-managed hosts file (host network).",
        hasBridge: true,
      },
      errors: [],
    });
  }, 40_000);
});
