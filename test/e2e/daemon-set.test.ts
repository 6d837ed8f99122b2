/** DaemonSets in real pods: one on the node while it fits, replaced by an update or when it is deleted. */
import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { PillionHome } from "../../src/testing/pillion.ts";
import { type KubectlSession, openKubectl } from "../conformance/kubectl-session.ts";

const MAIN = 'trap "exit 0" TERM; touch /tmp/up; while :; do sleep 1000 & wait $!; done';

function manifest(strategy: object): string {
  const container = {
    name: "main",
    image: "busybox",
    command: ["sh", "-c", MAIN],
    readinessProbe: { exec: { command: ["test", "-e", "/tmp/up"] }, periodSeconds: 1 },
  };
  const template = {
    metadata: { labels: { app: "agent" } },
    spec: { nodeSelector: { disk: "fast" }, terminationGracePeriodSeconds: 5, containers: [container] },
  };
  const spec = { selector: { matchLabels: { app: "agent" } }, updateStrategy: strategy, template };
  return JSON.stringify({ apiVersion: "apps/v1", kind: "DaemonSet", metadata: { name: "agent" }, spec });
}

async function rolledOut(kubectl: KubectlSession): Promise<void> {
  await kubectl.must(["rollout", "status", "daemonset/agent", "--timeout=30s"]);
}

/** Names and versions of the pods. */
async function pods(kubectl: KubectlSession): Promise<{ readonly name: string; readonly version: string }[]> {
  const columns = "jsonpath={range .items[*]}{.metadata.name} {.metadata.labels.version}{'\\n'}{end}";
  const text = await kubectl.must(["get", "pods", "-l", "app=agent", "-o", columns]);
  return text.split("\n").flatMap((line) => {
    const [name = "", version = ""] = line.split(" ");
    return name === "" ? [] : [{ name, version }];
  });
}

async function update(kubectl: KubectlSession, version: string): Promise<void> {
  const spec = { template: { metadata: { labels: { version } } } };
  await kubectl.must(["patch", "daemonset", "agent", "-p", JSON.stringify({ spec })]);
}

async function untilReplaced(kubectl: KubectlSession, old: string): Promise<void> {
  await rolledOut(kubectl);
  await kubectl.must(["wait", `pod/${old}`, "--for=delete", "--timeout=30s"]);
}

test("a DaemonSet runs one pod while the node fits, surges when it is updated, and waits with OnDelete", async () => {
  await using home = new PillionHome();
  const images = join(home.path, "images.yaml");
  writeFileSync(images, "images: { busybox: host }\n");
  await home.mustRun(["up", "-d", "--images", images]);
  const kubectl = await openKubectl(home, { version: "35", namespace: "default" });
  const node = (await kubectl.must(["get", "nodes", "-o", "name"])).trim();

  const surging = { type: "RollingUpdate", rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } };
  await kubectl.must(["apply", "-f", "-"], manifest(surging));
  await rolledOut(kubectl);
  expect(await pods(kubectl)).toEqual([]);
  await kubectl.must(["label", node, "disk=fast"]);
  await kubectl.must(["wait", "daemonset/agent", "--for=jsonpath={.status.numberReady}=1", "--timeout=30s"]);
  const [first] = await pods(kubectl);

  await update(kubectl, "a");
  await untilReplaced(kubectl, first?.name ?? "");
  const [second, ...others] = await pods(kubectl);
  expect({ version: second?.version, others }).toEqual({ version: "a", others: [] });

  await kubectl.must(["apply", "-f", "-"], manifest({ type: "OnDelete" }));
  await update(kubectl, "b");
  const observed = await kubectl.must(["get", "daemonset", "agent", "-o", "jsonpath={.metadata.generation}"]);
  const isObserved = `--for=jsonpath={.status.observedGeneration}=${observed}`;
  await kubectl.must(["wait", "daemonset/agent", isObserved, "--timeout=30s"]);
  expect((await pods(kubectl)).map(({ version }) => version)).toEqual(["a"]);
  await kubectl.must(["delete", "pod", second?.name ?? ""]);
  const isUpdated = "--for=jsonpath={.status.updatedNumberScheduled}=1";
  await kubectl.must(["wait", "daemonset/agent", isUpdated, "--timeout=30s"]);
  await kubectl.must(["wait", "pod", "-l", "version=b", "--for=condition=Ready", "--timeout=30s"]);

  await kubectl.must(["label", node, "disk-"]);
  await kubectl.must(["wait", "pod", "-l", "app=agent", "--for=delete", "--timeout=30s"]);
  expect(
    await kubectl.must(["get", "daemonset", "agent", "-o", "jsonpath={.status.desiredNumberScheduled}"]),
  ).toBe("0");
}, 60_000);
