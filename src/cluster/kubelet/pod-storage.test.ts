import { describe, expect, test } from "bun:test";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import type { Container, PodSpec } from "../../../generated/kubernetes.ts";
import type { TokenSubject } from "./port.ts";
import { World } from "./test-support/world.ts";

const MIB = 1024 * 1024;
const app = (part: Partial<Container> = {}): Container[] => [{ name: "app", image: "img", ...part }];

function mounted(volume: object, container: Partial<Container> = {}): Partial<PodSpec> {
  return {
    volumes: [{ name: "v", ...volume }],
    containers: app({ volumeMounts: [{ name: "v", mountPath: "/v" }], ...container }),
  };
}

function sourceOf(w: World): string {
  return w.container("app").spec.mounts.find(({ target }) => target === "/v")?.source ?? "";
}

/** The eviction manager has its turns, and its measurements their time, until it holds. */
async function look(w: World, holds = never): Promise<void> {
  for (let round = 0; round < (holds === never ? 5 : 500) && !holds(); round++) {
    await w.advance(10_000);
    await stat(w.stateDir);
  }
}
const never = () => false;
const hasFailed = (w: World) => () => w.pod().status?.phase === "Failed";

describe("a pod that writes too much", () => {
  test("into a volume with a limit is evicted, with the kubelet's words [V4, P13]", async () => {
    await using w = await new World().start();
    await w.run("p", mounted({ emptyDir: { sizeLimit: "1Mi" } }));
    writeFileSync(join(sourceOf(w), "file"), Buffer.alloc(MIB / 2, 1));
    await look(w);
    expect(w.pod().status?.phase).toBe("Running");
    writeFileSync(join(sourceOf(w), "more"), Buffer.alloc(MIB, 1));
    await look(w, hasFailed(w));
    const text = 'Usage of EmptyDir volume "v" exceeds the limit "1Mi". ';
    const { phase, reason, message } = w.pod().status ?? {};
    expect([phase, reason, message]).toEqual(["Failed", "Evicted", text]);
    expect(w.events()).toContain(`Warning Evicted: ${text}`);
    expect(w.sandbox.running()).toEqual([]);
  });

  test("to its log is evicted, too [V4]", async () => {
    await using w = await new World().start();
    await w.run("p", { containers: app({ resources: { limits: { "ephemeral-storage": "1Mi" } } }) });
    writeFileSync(w.container("app").spec.logPath, Buffer.alloc(2 * MIB, 1));
    await look(w, hasFailed(w));
    expect(w.pod().status?.message).toBe(
      "Pod ephemeral local storage usage exceeds the total limit of containers 1Mi. ",
    );
  });

  test("without a limit is left alone, as is one that is going anyway", async () => {
    await using w = await new World().start();
    await w.run("p", mounted({ emptyDir: {} }));
    writeFileSync(join(sourceOf(w), "file"), Buffer.alloc(2 * MIB, 1));
    await w.run("q", mounted({ emptyDir: { sizeLimit: "1Mi" } }));
    w.sandbox.behaviours.set("app", () => undefined);
    await look(w);
    expect(w.pod().status?.phase).toBe("Running");
    expect(w.pod("q").status?.phase).toBe("Running");
  });
});

describe("a token in a volume", () => {
  const projected = (expirationSeconds = 3600) =>
    mounted({ projected: { sources: [{ serviceAccountToken: { path: "token", expirationSeconds } }] } });

  function issuer(w: World) {
    const asked: TokenSubject[] = [];
    const issueToken = (subject: TokenSubject) => {
      asked.push(subject);
      const expiresAt = w.clock.now() + subject.expirationSeconds * 1000;
      return { token: `token ${asked.length}`, expiresAt };
    };
    return { asked, issueToken };
  }

  test("is bound to the pod and replaced in good time [V15]", async () => {
    await using w = new World();
    const { asked, issueToken } = issuer(w);
    await w.start({ issueToken });
    await w.run("p", { ...projected(), serviceAccountName: "robot" });
    const path = join(sourceOf(w), "token");
    expect(readFileSync(path, "utf8")).toBe("token 1");
    expect(asked).toEqual([
      {
        namespace: "default",
        serviceAccount: "robot",
        audiences: [],
        expirationSeconds: 3600,
        pod: { name: "p", uid: w.pod().metadata.uid },
      },
    ]);
    await w.advance(2_879_000);
    expect(readFileSync(path, "utf8")).toBe("token 1");
    await w.advance(1_000);
    expect(readFileSync(path, "utf8")).toBe("token 2");
    await w.advance(2_880_000);
    expect(readFileSync(path, "utf8")).toBe("token 3");
    expect(w.status("app").restartCount).toBe(0);
  });

  test("is not asked for any more once the pod has ended", async () => {
    await using w = new World();
    const { asked, issueToken } = issuer(w);
    await w.start({ issueToken });
    await w.run("p", { ...projected(600), restartPolicy: "Never" });
    await w.exit("app", 0);
    await w.advance(86_400_000);
    expect(asked).toHaveLength(1);
  });

  test("that nobody issues keeps the pod waiting, and says why [V2, V15]", async () => {
    await using w = await new World().start();
    await w.run("p", projected());
    expect(w.state("app")).toBe("ContainerCreating");
    expect(w.events()).toEqual([
      'Warning FailedMount: MountVolume.SetUp failed for volume "v" : this cluster issues no tokens for service accounts',
    ]);
  });
});

describe("an optional object", () => {
  const optional = mounted({ configMap: { name: "c", optional: true } });
  const configMap = (data: Record<string, string>) => ({
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { namespace: "default", name: "c" },
    data,
  });

  test("is an empty folder while it is not there, is filled when it comes and emptied when it goes [V14]", async () => {
    await using w = await new World().start();
    await w.run("p", optional);
    const read = () => {
      try {
        return readFileSync(join(sourceOf(w), "key"), "utf8");
      } catch {
        return "absent";
      }
    };
    expect([w.state("app"), read()]).toEqual(["Running", "absent"]);
    w.store.create("configmaps", configMap({ key: "1" }));
    await w.settle();
    expect(read()).toBe("1");
    w.store.delete("configmaps", { namespace: "default", name: "c" });
    await w.settle();
    expect(read()).toBe("absent");
  });

  test("one that is not optional stays as it was when it goes, and the pod says so [V2]", async () => {
    await using w = await new World().start();
    w.store.create("configmaps", configMap({ key: "1" }));
    await w.run("p", mounted({ configMap: { name: "c" } }));
    w.store.delete("configmaps", { namespace: "default", name: "c" });
    await w.settle();
    expect(readFileSync(join(sourceOf(w), "key"), "utf8")).toBe("1");
    expect(w.state("app")).toBe("Running");
    expect(w.events().at(-1)).toBe(
      'Warning FailedMount: MountVolume.SetUp failed for volume "v" : configmap "c" not found',
    );
  });
});

test("a claim that is bound is a folder of the node; until then the pod waits [V2, V25]", async () => {
  await using w = await new World().start();
  const volume = join(w.stateDir, "node/volumes/data");
  await w.run("p", mounted({ persistentVolumeClaim: { claimName: "data", readOnly: true } }));
  expect(w.events()).toEqual([
    'Warning FailedMount: MountVolume.SetUp failed for volume "v" : error processing PVC default/data: failed to fetch PVC from API server: persistentvolumeclaims "data" not found',
  ]);
  const claim = w.store.create("persistentvolumeclaims", {
    apiVersion: "v1",
    kind: "PersistentVolumeClaim",
    metadata: { namespace: "default", name: "data" },
    spec: { volumeName: "pv" },
    status: { phase: "Pending" },
  });
  await w.settle();
  expect(w.events().at(-1)).toEndWith("error processing PVC default/data: PVC is not bound");
  w.store.create("persistentvolumes", {
    apiVersion: "v1",
    kind: "PersistentVolume",
    metadata: { name: "pv" },
    spec: {
      hostPath: { path: "/volumes/data", type: "DirectoryOrCreate" },
      claimRef: { uid: claim.metadata.uid },
    },
  });
  const at = { namespace: "default", name: "data" };
  w.store.update("persistentvolumeclaims", at, (current) => ({ ...current, status: { phase: "Bound" } }), {
    subresource: "status",
  });
  await w.settle();
  const [mount] = w.container("app").spec.mounts;
  expect(mount).toMatchObject({ source: join(w.stateDir, "node"), subPath: "volumes/data", readOnly: true });
  await w.delete();
  rmSync(volume, { recursive: true });
});

test("a volume that only an ephemeral container mounts is set up when that one comes [V1]", async () => {
  await using w = await new World().start();
  await w.run("p", { volumes: [{ name: "v", emptyDir: {} }] });
  expect(w.container("app").spec.mounts.some(({ target }) => target === "/v")).toBe(false);
  await w.change("p", (pod) => ({
    ...pod,
    spec: {
      ...w.pod().spec,
      ephemeralContainers: [{ name: "debug", image: "img", volumeMounts: [{ name: "v", mountPath: "/v" }] }],
    },
  }));
  const mount = w.container("debug").spec.mounts.find(({ target }) => target === "/v");
  expect(mount?.source).toEndWith("kubernetes.io~empty-dir/v");
  expect(w.status("app").restartCount).toBe(0);
});
