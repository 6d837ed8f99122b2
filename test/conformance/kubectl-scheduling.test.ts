/** What keeps a Pod off the node and what lets it go there, as kubectl cordon, taint and describe show it. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { PillionHome } from "../../src/testing/pillion.ts";
import { type KubectlSession, openKubectl } from "./kubectl-session.ts";

const TEST_MS = 60_000;

let home: PillionHome;
let kubectl: KubectlSession;
let node: string;

beforeAll(async () => {
  home = new PillionHome();
  writeFileSync(join(home.path, "images.yaml"), "images: { busybox: host }\n");
  await home.mustRun(["up", "-d", "--images", join(home.path, "images.yaml")]);
  kubectl = await openKubectl(home, { version: "35", namespace: "default" });
  node = (await kubectl.must(["get", "nodes", "-o", "name"])).trim().replace("node/", "");
}, TEST_MS);

afterAll(async () => {
  await home[Symbol.asyncDispose]();
}, TEST_MS);

function sleeper(name: string, spec: object = {}): string {
  const containers = [{ name: "main", image: "busybox", command: ["sleep", "1000"] }];
  const whole = { terminationGracePeriodSeconds: 0, containers, ...spec };
  return JSON.stringify({ apiVersion: "v1", kind: "Pod", metadata: { name }, spec: whole });
}

const SCHEDULED = 'jsonpath={.status.conditions[?(@.type=="PodScheduled")].reason}';

async function ready(name: string): Promise<void> {
  await kubectl.must(["wait", "--for=condition=Ready", `pod/${name}`, "--timeout=20s"]);
}

test(
  "a cordoned or tainted node takes no Pod until it is free again",
  async () => {
    await kubectl.must(["cordon", node]);
    await kubectl.must(["create", "-f", "-"], sleeper("waits"));
    expect(await kubectl.must(["get", "pod", "waits"])).toMatch(/waits +0\/1 +Pending +0/);
    expect(await kubectl.must(["get", "pod", "waits", "-o", SCHEDULED])).toBe("Unschedulable");
    expect(await kubectl.must(["describe", "pod", "waits"])).toMatch(
      /Warning +FailedScheduling .*0\/1 nodes are available: 1 node\(s\) were unschedulable\./,
    );
    expect(await kubectl.must(["logs", "waits"])).toBe("");
    await kubectl.must(["taint", "node", node, "a=b:NoSchedule"]);
    await kubectl.must(["uncordon", node]);
    expect(await kubectl.must(["events", "--for", "pod/waits", "--types=Warning"])).toContain(
      "had untolerated taint {a: b}",
    );
    const tolerations = [{ key: "a", operator: "Exists" }];
    await kubectl.must(["create", "-f", "-"], sleeper("tolerates", { tolerations }));
    await ready("tolerates");
    await kubectl.must(["taint", "node", node, "a-"]);
    await ready("waits");
  },
  TEST_MS,
);

test(
  "a nodeSelector waits for the node's label",
  async () => {
    await kubectl.must(["create", "-f", "-"], sleeper("picky", { nodeSelector: { disk: "ssd" } }));
    expect(await kubectl.must(["get", "pod", "picky", "-o", SCHEDULED])).toBe("Unschedulable");
    await kubectl.must(["label", "node", node, "disk=ssd"]);
    await ready("picky");
  },
  TEST_MS,
);

test(
  "a scheduling gate shows and holds the Pod back until it is taken away",
  async () => {
    await kubectl.must(["create", "-f", "-"], sleeper("gated", { schedulingGates: [{ name: "a/b" }] }));
    expect(await kubectl.must(["get", "pod", "gated"])).toMatch(/gated +0\/1 +SchedulingGated +0/);
    const open = '[{"op":"remove","path":"/spec/schedulingGates"}]';
    await kubectl.must(["patch", "pod", "gated", "--type=json", "-p", open]);
    await ready("gated");
  },
  TEST_MS,
);

test("a Pod has the priority of its class and tolerates a node that is away for five minutes", async () => {
  const refused = await kubectl.run(["create", "-f", "-"], sleeper("ranked", { priorityClassName: "high" }));
  expect(refused.stderr).toContain('pods "ranked" is forbidden: no PriorityClass with name high was found');
  await kubectl.must(["create", "priorityclass", "high", "--value=10"]);
  await kubectl.must(["create", "-f", "-"], sleeper("ranked", { priorityClassName: "high" }));
  await kubectl.must(["create", "-f", "-"], sleeper("plain"));
  const priority = (name: string) => kubectl.must(["get", "pod", name, "-o", "jsonpath={.spec.priority}"]);
  expect([await priority("ranked"), await priority("plain")]).toEqual(["10", "0"]);
  expect(await kubectl.must(["describe", "pod", "plain"])).toMatch(
    /^Tolerations: +node\.kubernetes\.io\/not-ready:NoExecute op=Exists for 300s\n +node\.kubernetes\.io\/unreachable:NoExecute op=Exists for 300s$/m,
  );
});
