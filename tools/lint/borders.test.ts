/** The border table decides as the architecture says. */
import { describe, expect, test } from "bun:test";
import { crossing, roomOf } from "./borders.js";

describe("crossing()", () => {
  test.each([
    ["src/cluster/api/server.ts", "src/cluster/store/store.ts"],
    ["src/cluster/api/log.ts", "src/cluster/kubelet/port.ts"],
    ["src/cluster/kubelet/act.ts", "src/cluster/sandbox/sandbox.ts"],
    ["src/bin/engine.ts", "src/cluster/sandbox/open-sandbox.ts"],
    ["src/k8s/quantity.ts", "generated/kubernetes.ts"],
    ["src/cluster/api/server.test.ts", "src/testing/kubectl.ts"],
  ])("lets %s import %s", (from, to) => {
    expect(crossing(from, to)).toBeUndefined();
  });

  test.each([
    ["src/cluster/api/log.ts", "src/cluster/kubelet/act.ts"],
    ["src/cluster/api/exec.ts", "src/cluster/sandbox/sandbox.ts"],
    ["src/cluster/store/store.ts", "src/cluster/api/server.ts"],
    ["src/kernel/problem.ts", "src/lib/backoff.ts"],
    ["src/sidecars/logs/sidecar.ts", "src/sidecars/proxy/route.ts"],
    ["src/lib/backoff.ts", "src/testing/kubectl.ts"],
    ["src/k8s/pod.ts", "test/run.js"],
  ])("stops %s from importing %s", (from, to) => {
    expect(crossing(from, to)).toBeString();
  });
});

test("roomOf() takes the longest prefix", () => {
  expect(roomOf("src/cluster/kubelet/port.ts")).toBe("src/cluster/kubelet/port.ts");
  expect(roomOf("src/cluster/kubelet/act.ts")).toBe("src/cluster/kubelet");
});
