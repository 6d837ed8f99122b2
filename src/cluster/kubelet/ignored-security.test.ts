import { describe, expect, test } from "bun:test";
import type { PodSpec } from "../../../generated/kubernetes.ts";
import type { Tier } from "../sandbox/sandbox.ts";
import { ignoredSecurity, unenforcedLimits, withheldCapabilities } from "./ignored-security.ts";

const SENTENCE =
  "Memory and CPU limits of containers are not enforced: of something. To have them, do something.";
const tier = (resourceLimits: Tier["resourceLimits"]): Tier => ({
  name: "rootless-1-id",
  limits: ["Containers run as one user: and so on", SENTENCE],
  otherUsers: false,
  resourceLimits,
});

function pod(spec: Partial<PodSpec>) {
  const metadata = { name: "p", namespace: "default", uid: "u" };
  return { metadata, spec: { containers: [{ name: "app" }], ...spec } };
}

test("profiles of AppArmor and labels of SELinux are named, by their paths", () => {
  const profiles = { appArmorProfile: { type: "RuntimeDefault" }, seLinuxOptions: { level: "s0" } };
  const container = { name: "app", securityContext: profiles };
  const spec = {
    securityContext: profiles,
    initContainers: [container],
    containers: [container],
    hostUsers: false,
  };
  expect(ignoredSecurity(pod(spec))).toEqual([
    "spec.hostUsers",
    "spec.securityContext.appArmorProfile",
    "spec.securityContext.seLinuxOptions",
    "spec.initContainers[0].securityContext.appArmorProfile",
    "spec.initContainers[0].securityContext.seLinuxOptions",
    "spec.containers[0].securityContext.appArmorProfile",
    "spec.containers[0].securityContext.seLinuxOptions",
  ]);
});

test("containers that do not get SYS_PTRACE are named", () => {
  const securityContext = { capabilities: { add: ["SYS_PTRACE", "NET_ADMIN"] } };
  const containers = [{ name: "app" }, { name: "tracer", securityContext }];
  expect(withheldCapabilities(pod({ containers }))).toEqual([
    expect.stringMatching(/SYS_PTRACE.*"tracer"\. .*`pillion up --allow-privileged`/),
  ]);
  expect(withheldCapabilities(pod({}))).toEqual([]);
});

test("what asks for nothing is not named", () => {
  const none = { appArmorProfile: { type: "Unconfined" }, seLinuxOptions: {} };
  expect(ignoredSecurity(pod({ securityContext: none, hostUsers: true }))).toEqual([]);
  expect(ignoredSecurity(pod({}))).toEqual([]);
});

describe("unenforcedLimits()", () => {
  const limits = { memory: "1Gi" };
  test.each<[string, Partial<PodSpec>]>([
    ["a container", { containers: [{ name: "app", resources: { limits } }] }],
    ["an init container", { initContainers: [{ name: "init", resources: { limits: { cpu: "1" } } }] }],
    ["the pod", { resources: { limits } }],
  ])("says why, when %s has limits and nobody enforces any", (_, spec) => {
    expect(unenforcedLimits(pod(spec), tier("none"))).toEqual([SENTENCE]);
    expect(unenforcedLimits(pod(spec), tier("cgroup-v1"))).toEqual([]);
  });

  test("says nothing to pods without limits", () => {
    const containers = [{ name: "app", resources: { requests: { cpu: "1" } } }];
    expect(unenforcedLimits(pod({ containers }), tier("none"))).toEqual([]);
  });
});
