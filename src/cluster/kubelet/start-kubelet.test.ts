import { describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Lease, Node } from "../../../generated/kubernetes.ts";
import { FakeSandbox } from "./test-support/fake-sandbox.ts";
import { NODE, World } from "./test-support/world.ts";
import type { LogOptions } from "./port.ts";

async function world(): Promise<World> {
  return new World().start();
}

/** The engine is killed and started again: its processes are gone, its store and folders are not. */
async function restart(w: World): Promise<void> {
  await w.kubelet?.stop();
  w.sandbox = new FakeSandbox(w.clock);
  await w.start();
}

describe("after a restart of the engine", () => {
  test("containers of unknown fate are started again and counted [S7]", async () => {
    await using w = await world();
    await w.run("p", { initContainers: [{ name: "init", image: "img" }] });
    await w.exit("init", 0);
    const { id } = w.container("app");
    await restart(w);
    expect(w.sandbox.running()).toEqual(["p/init"]);
    await w.exit("init", 0);
    expect(w.status("app")).toMatchObject({
      restartCount: 1,
      state: { running: {} },
      lastState: {
        terminated: {
          exitCode: 137,
          reason: "ContainerStatusUnknown",
          message: "The container could not be located when the pod was terminated",
          containerID: `pillion://${id}`,
        },
      },
    });
    expect(w.pod().status?.podIP).toBe("10.99.1.1");
  });

  test("a pod with Never that was running has failed [S7]", async () => {
    await using w = await world();
    await w.run("p", { restartPolicy: "Never" });
    await restart(w);
    expect([w.state("app"), w.pod().status?.phase]).toEqual(["ContainerStatusUnknown 137", "Failed"]);
  });

  test("a pod that was being deleted goes, and finished ones stay finished [P10]", async () => {
    await using w = await world();
    w.sandbox.behaviours.set("app", () => undefined);
    await w.run("p", {});
    await w.run("done", { restartPolicy: "Never" });
    await w.exit("app", 0, "done");
    await w.delete();
    expect(w.exists()).toBe(true);
    const { resourceVersion } = w.pod("done").metadata;
    await restart(w);
    expect(w.exists()).toBe(false);
    expect(w.pod("done").metadata.resourceVersion).toBe(resourceVersion);
  });

  test("a container in back-off keeps its count and its last end", async () => {
    await using w = await world();
    await w.run("p", {});
    await w.exit("app", 1);
    await w.exit("app", 4);
    expect(w.state("app")).toBe("CrashLoopBackOff");
    await restart(w);
    expect(w.status("app")).toMatchObject({
      restartCount: 2,
      state: { running: {} },
      lastState: { terminated: { exitCode: 4 } },
    });
  });

  test("folders of pods that are gone are removed", async () => {
    await using w = await world();
    const stale = [join(w.stateDir, "pods/gone"), join(w.stateDir, "logs/default_p_gone/app")];
    for (const folder of stale) mkdirSync(folder, { recursive: true });
    await restart(w);
    expect(stale.map((folder) => existsSync(folder))).toEqual([false, false]);
  });
});

describe("the log port", () => {
  const options = (part: Partial<LogOptions> = {}): LogOptions => ({
    container: "app",
    follow: false,
    previous: false,
    timestamps: false,
    ...part,
  });
  const open = async (w: World, part: Partial<LogOptions> = {}, name = "p") => {
    const at = { namespace: "default", name };
    const stream = await w.kubelet?.port.openLog(at, options(part), new AbortController().signal);
    let text = "";
    for await (const piece of stream ?? []) text += Buffer.from(piece).toString();
    return text;
  };
  const write = (w: World, text: string, instance = w.container("app")) => {
    mkdirSync(dirname(instance.spec.logPath), { recursive: true });
    writeFileSync(instance.spec.logPath, `2026-01-01T00:00:00.000000000Z stdout F ${text}\n`);
  };

  test("reads the present instance, and the one before", async () => {
    await using w = await world();
    await w.run("p", {});
    write(w, "first life");
    await w.exit("app", 1);
    write(w, "second life");
    expect(await open(w)).toBe("second life\n");
    expect(await open(w, { previous: true })).toBe("first life\n");
    await w.exit("app", 1);
    expect(w.state("app")).toBe("CrashLoopBackOff");
    expect([await open(w), await open(w, { previous: true })]).toEqual(["second life\n", "second life\n"]);
  });

  test("follows until the container ends", async () => {
    await using w = await world();
    await w.run("p", {});
    write(w, "only");
    const text = open(w, { follow: true });
    await w.settle();
    w.container("app").exit(0);
    expect(await text).toBe("only\n");
  });

  test.each<[string, string, Partial<LogOptions>]>([
    ["BadRequest", "container nope is not valid for pod p", { container: "nope" }],
    ["BadRequest", 'previous terminated container "app" in pod "p" not found', { previous: true }],
  ])("%s: %s", async (reason, message, part) => {
    await using w = await world();
    await w.run("p", {});
    await expect(open(w, part)).rejects.toMatchObject({ reason, message });
  });

  test("says what a container waits for", async () => {
    await using w = await world();
    w.images.gate = new Promise(() => {});
    await w.run("p", { containers: [{ name: "app", image: "slow" }] });
    await expect(open(w)).rejects.toThrow(
      'container "app" in pod "p" is waiting to start: ContainerCreating',
    );
    await expect(open(w, {}, "other")).rejects.toMatchObject({
      reason: "NotFound",
      message: 'pods "other" not found',
    });
  });

  test("loses a pod's logs with the pod", async () => {
    await using w = await world();
    await w.run("p", {});
    write(w, "x");
    const { logPath } = w.container("app").spec;
    await w.delete();
    expect(existsSync(dirname(dirname(logPath)))).toBe(false);
  });
});

describe("the node", () => {
  test("is there with its addresses, capacity and conditions", async () => {
    await using w = await world();
    const node = w.store.get("nodes", { namespace: "", name: NODE }) as Node;
    expect(node.metadata?.labels).toMatchObject({
      "kubernetes.io/hostname": NODE,
      "kubernetes.io/os": "linux",
    });
    expect(node.status?.addresses).toEqual([
      { type: "InternalIP", address: "127.0.0.1" },
      { type: "InternalIP", address: "10.99.0.1" },
      { type: "Hostname", address: NODE },
    ]);
    expect(node.status?.conditions?.map(({ type, status }) => `${type}=${status}`)).toEqual([
      "MemoryPressure=False",
      "DiskPressure=False",
      "PIDPressure=False",
      "Ready=True",
    ]);
    expect(node.status?.nodeInfo).toMatchObject({
      kubeletVersion: "v1.36.2+pillion",
      operatingSystem: "linux",
    });
    expect(Object.keys(node.status?.capacity ?? {})).toEqual(["cpu", "ephemeral-storage", "memory", "pods"]);
  });

  test("renews its lease each ten seconds, its status each five minutes", async () => {
    await using w = await world();
    w.store.create("namespaces", {
      apiVersion: "v1",
      kind: "Namespace",
      metadata: { name: "kube-node-lease" },
    });
    const lease = () =>
      w.store.get("leases.coordination.k8s.io", { namespace: "kube-node-lease", name: NODE }) as
        | Lease
        | undefined;
    const version = () => w.store.get("nodes", { namespace: "", name: NODE })?.metadata.resourceVersion;
    await w.advance(1000);
    expect(lease()?.spec).toEqual({
      holderIdentity: NODE,
      leaseDurationSeconds: 40,
      renewTime: "2026-01-01T00:00:00.000000Z",
    });
    const before = version();
    await w.advance(9_000);
    expect(lease()?.spec?.renewTime).toBe("2026-01-01T00:00:10.000000Z");
    expect(version()).toBe(before);
    await w.advance(300_000);
    expect(version()).not.toBe(before);
  });

  test("stops without leaving a timer", async () => {
    await using w = await world();
    await w.run("p", {});
    await w.exit("app", 1);
    await w.exit("app", 1);
    await w.kubelet?.stop();
    expect(w.clock.pending).toBe(0);
  });
});

test("a pod for another operating system is refused [O14]", async () => {
  await using w = await world();
  await w.run("p", { os: { name: "windows" } });
  const { phase, reason, message } = w.pod().status ?? {};
  expect([phase, reason, message]).toEqual([
    "Failed",
    "PodOSNotSupported",
    "Pod was rejected: Failed to admit pod as the OS field doesn't match node OS",
  ]);
  expect(w.sandbox.pods).toEqual([]);
});

test("logs are kept of two instances", async () => {
  await using w = await world();
  await w.run("p", {});
  for (let start = 0; start < 4; start++) {
    writeFileSync(w.container("app").spec.logPath, "");
    await w.exit("app", 1);
    await w.advance(300_000);
  }
  const { logPath } = w.container("app").spec;
  writeFileSync(logPath, "");
  expect(readdirSync(dirname(logPath)).sort()).toEqual(["3.log", "4.log"]);
});

test("fields that are not acted on yet are named in an event", async () => {
  await using w = await world();
  await w.run("p", { hostPID: true });
  expect(w.events()[0]).toBe("Warning FieldIgnored: Not acted on yet, the pod runs without: spec.hostPID");
  expect(w.status("app").ready).toBe(true);
});
