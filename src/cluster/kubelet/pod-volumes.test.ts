import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Container, PodSpec } from "../../../generated/kubernetes.ts";
import { World } from "./test-support/world.ts";

const app = (part: Partial<Container> = {}): Container[] => [{ name: "app", image: "img", ...part }];

function mounted(volume: object, mount: object = {}): Partial<PodSpec> {
  return {
    volumes: [{ name: "v", ...volume }],
    containers: app({ volumeMounts: [{ name: "v", mountPath: "/v", ...mount }] }),
  };
}

async function world(): Promise<World> {
  return new World().start();
}

function createConfigMap(w: World, data: Record<string, string>): void {
  w.store.create("configmaps", {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { namespace: "default", name: "c" },
    data,
  });
}

function sourceOf(w: World): string {
  return w.container("app").spec.mounts.find(({ target }) => target === "/v")?.source ?? "";
}

describe("volumes of a pod", () => {
  test("a missing ConfigMap keeps the containers from starting, its coming starts them [V1, V2]", async () => {
    await using w = await world();
    await w.run("p", mounted({ configMap: { name: "c" } }));
    expect(w.state("app")).toBe("ContainerCreating");
    expect(w.sandbox.pods).toEqual([]);
    expect(w.events()).toEqual([
      'Warning FailedMount: MountVolume.SetUp failed for volume "v" : configmap "c" not found',
    ]);
    createConfigMap(w, { key: "1" });
    await w.settle();
    expect(w.state("app")).toBe("Running");
    expect(readFileSync(join(sourceOf(w), "key"), "utf8")).toBe("1");
  });

  test("a ConfigMap that changes reaches a running container at once [V11]", async () => {
    await using w = await world();
    createConfigMap(w, { key: "1" });
    await w.run("p", mounted({ configMap: { name: "c" } }));
    w.store.update("configmaps", { namespace: "default", name: "c" }, (current) => ({
      ...current,
      data: { key: "2", more: "x" },
    }));
    await w.settle();
    expect(readFileSync(join(sourceOf(w), "key"), "utf8")).toBe("2");
    expect(readFileSync(join(sourceOf(w), "more"), "utf8")).toBe("x");
    expect(w.status("app").restartCount).toBe(0);
  });

  test("labels reach a downwardAPI volume live [V16]", async () => {
    await using w = await world();
    const items = [{ path: "labels", fieldRef: { fieldPath: "metadata.labels" } }];
    await w.run("p", mounted({ downwardAPI: { items } }), { labels: { a: "1" } });
    await w.change("p", (pod) => ({ ...pod, metadata: { ...pod.metadata, labels: { a: "2" } } }));
    expect(readFileSync(join(sourceOf(w), "labels"), "utf8")).toBe('a="2"');
  });

  test("secrets and memory volumes are on a tmpfs, ConfigMaps on the disk; what we write is read-only [V3, V7, V8]", async () => {
    await using w = await world();
    createConfigMap(w, {});
    await w.run("p", {
      volumes: [
        { name: "s", secret: { secretName: "none", optional: true } },
        { name: "m", emptyDir: { medium: "Memory", sizeLimit: "1Mi" } },
        { name: "c", configMap: { name: "c" } },
        { name: "d", emptyDir: {} },
      ],
      containers: app({
        volumeMounts: ["s", "m", "c", "d"].map((name) => ({ name, mountPath: `/${name}` })),
      }),
    });
    const folder = join(w.stateDir, "pods", w.pod().metadata.uid, "volumes");
    expect([...(w.sandbox.pods[0]?.mounts ?? [])]).toEqual([
      join(folder, "kubernetes.io~secret/s"),
      join(folder, "kubernetes.io~empty-dir/m"),
    ]);
    expect(statSync(join(folder, "kubernetes.io~empty-dir/d")).mode & 0o7777).toBe(0o777);
    const mounts = w.container("app").spec.mounts.map(({ target, readOnly }) => [target, readOnly]);
    expect(mounts.slice(0, 4)).toEqual([
      ["/s", true],
      ["/m", false],
      ["/c", true],
      ["/d", false],
    ]);
    await w.delete();
    expect(w.sandbox.pods[0]?.mounts.size).toBe(0);
    expect(existsSync(join(folder, ".."))).toBe(false);
  });

  test("survive a restart of the container and are set up again in a new sandbox [V1]", async () => {
    await using w = await world();
    await w.run("p", mounted({ emptyDir: {} }));
    const before = sourceOf(w);
    await Bun.write(join(before, "kept"), "x");
    await w.exit("app", 1);
    expect(sourceOf(w)).toBe(before);
    w.sandbox.pods[0]?.die();
    await w.settle();
    await w.advance(10_000);
    expect(readFileSync(join(sourceOf(w), "kept"), "utf8")).toBe("x");
  });

  test("of a kind that is not supported say which field it is [V24]", async () => {
    await using w = await world();
    await w.run("p", mounted({ image: { reference: "x" } }));
    expect(w.events()[0]).toStartWith(
      'Warning FailedMount: MountVolume.SetUp failed for volume "v" : spec.volumes[0].image: this kind of volume is not supported yet',
    );
    await w.delete();
    expect(w.exists()).toBe(false);
  });

  test("that no container mounts are not looked at", async () => {
    await using w = await world();
    await w.run("p", { volumes: [{ name: "v", secret: { secretName: "none" } }] });
    expect(w.state("app")).toBe("Running");
  });

  test("with a bad name touch nothing", async () => {
    await using w = await world();
    const bad = "../../escape";
    await w.run("p", {
      volumes: [{ name: bad, emptyDir: {} }],
      containers: app({ volumeMounts: [{ name: bad, mountPath: "/v" }] }),
    });
    expect(w.state("app")).toBe("ContainerCreating");
    expect(readdirSync(w.stateDir).sort()).toEqual(["logs", "node", "pods"]);
  });
});

describe("configuration errors", () => {
  const wants = {
    containers: app({ env: [{ name: "X", valueFrom: { configMapKeyRef: { name: "c", key: "k" } } }] }),
  };

  test("are shown, and go away when the object comes [E6]", async () => {
    await using w = await world();
    await w.run("p", wants);
    expect(w.status("app").state).toEqual({
      waiting: { reason: "CreateContainerConfigError", message: 'configmap "c" not found' },
    });
    expect(w.events().at(-1)).toBe('Warning Failed: Error: configmap "c" not found');
    createConfigMap(w, { other: "1" });
    await w.settle();
    expect(w.status("app").state?.waiting?.message).toBe("couldn't find key k in ConfigMap default/c");
    w.store.update("configmaps", { namespace: "default", name: "c" }, (current) => ({
      ...current,
      data: { k: "v" },
    }));
    await w.settle();
    expect(w.state("app")).toBe("Running");
    expect(w.container("app").spec.env).toContain("X=v");
  });

  test("of a privileged container name what would allow it", async () => {
    await using w = await world();
    await w.run("p", { containers: app({ securityContext: { privileged: true } }) });
    expect(w.status("app").state?.waiting).toEqual({
      reason: "CreateContainerConfigError",
      message:
        'Cannot run container "app" privileged: the cluster does not allow it. Start the cluster with `pillion up --allow-privileged`, or remove `securityContext.privileged`',
    });
  });
});
