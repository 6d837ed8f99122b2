import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Event, PersistentVolumeClaim, PodSpec } from "../../../generated/kubernetes.ts";
import type { Claim, PersistentVolume } from "../../k8s/claims.ts";
import type { KubeObject } from "../../k8s/object.ts";
import { resources } from "../../k8s/catalogue.ts";
import { ManualClock } from "../../testing/manual-clock.ts";
import { openTestStore } from "../../testing/store-fixtures.ts";
import type { Store } from "../store/store.ts";
import { seedCluster } from "./bootstrap.ts";
import { startClaimController } from "./claims.ts";
import { startGarbageCollector } from "./garbage-collector.ts";

const CLAIMS = "persistentvolumeclaims";
const VOLUMES = "persistentvolumes";

let nodeRoot = "";
let store: Store;
let stop: () => void;
let clock: ManualClock;
const errors: unknown[] = [];

beforeEach(() => {
  nodeRoot = mkdtempSync(join(tmpdir(), "claims-"));
  clock = new ManualClock();
  store = openTestStore({ clock });
  seedCluster(store, { apiPort: 1 });
  stop = startClaimController({
    store,
    clock,
    nodeName: "node-1",
    nodeRoot,
    onError: (error) => errors.push(error),
  });
});
afterEach(() => {
  stop();
  store.close();
  rmSync(nodeRoot, { recursive: true, force: true });
  expect(errors.splice(0)).toEqual([]);
});

/** Reads, writes and deletions of files have happened, too. */
async function settle(): Promise<void> {
  for (let round = 0; round < 20; round++) await new Promise<void>((resolve) => setImmediate(resolve));
}

const at = (name: string) => ({ namespace: "default", name });

async function claim(name: string, spec: PersistentVolumeClaim["spec"] = {}): Promise<Claim> {
  store.create(CLAIMS, {
    apiVersion: "v1",
    kind: "PersistentVolumeClaim",
    metadata: at(name),
    spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } }, ...spec },
    status: { phase: "Pending" },
  });
  await settle();
  return read(name);
}

function read(name: string): Claim {
  const found = store.get(CLAIMS, at(name));
  if (found === undefined) throw new Error(`no claim ${name}`);
  return found;
}

async function volume(name: string, spec: object = {}): Promise<void> {
  store.create(VOLUMES, {
    apiVersion: "v1",
    kind: "PersistentVolume",
    metadata: { name },
    spec: {
      accessModes: ["ReadWriteOnce"],
      capacity: { storage: "1Gi" },
      hostPath: { path: `/data/${name}` },
      persistentVolumeReclaimPolicy: "Retain",
      ...spec,
    },
    status: { phase: "Pending" },
  });
  await settle();
}

/** Files are removed in their own time. */
async function volumesGone(): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const unwatch = store.watch(VOLUMES, {}, () => {
    if (store.list(VOLUMES).items.length === 0) resolve();
  });
  if (store.list(VOLUMES).items.length === 0) resolve();
  await promise;
  unwatch();
}

function readVolume(name: string): PersistentVolume | undefined {
  return store.get(VOLUMES, { namespace: "", name });
}

async function pod(name: string, spec: Partial<PodSpec>): Promise<void> {
  store.create("pods", {
    apiVersion: "v1",
    kind: "Pod",
    metadata: at(name),
    spec: { containers: [{ name: "c" }], ...spec },
  });
  await settle();
}

const using = (claimName: string): Partial<PodSpec> => ({
  volumes: [{ name: "v", persistentVolumeClaim: { claimName } }],
});

async function remove(resource: string, name: string): Promise<void> {
  const namespace = resource === VOLUMES ? "" : "default";
  store.delete(resource, { namespace, name }, { gracePeriodSeconds: 0 });
  await settle();
}

function phase(name: string): string {
  return `${read(name).status?.phase} ${read(name).spec?.volumeName ?? ""}`.trim();
}

function events(): string[] {
  return store
    .list("events")
    .items.map((object) => object as KubeObject & Event)
    .map(({ type, reason, message }) => `${type} ${reason}: ${message}`);
}

function folderOf(volumeName: string): string {
  return join(nodeRoot, readVolume(volumeName)?.spec?.local?.path ?? "none");
}

describe("a claim without a class", () => {
  test("gets the default one, a folder of the node, and is bound [V25]", async () => {
    const bound = await claim("data");
    const name = `pvc-${bound.metadata.uid}`;
    expect(bound.spec).toMatchObject({ storageClassName: "standard", volumeName: name });
    expect(bound.status).toEqual({
      phase: "Bound",
      accessModes: ["ReadWriteOnce"],
      capacity: { storage: "1Gi" },
    });
    expect(bound.metadata.finalizers).toEqual(["kubernetes.io/pvc-protection"]);
    expect(bound.metadata.annotations).toMatchObject({
      "pv.kubernetes.io/bind-completed": "yes",
      "volume.kubernetes.io/storage-provisioner": "pillion.dev/local",
    });
    expect(readVolume(name)).toMatchObject({
      metadata: {
        annotations: { "pv.kubernetes.io/provisioned-by": "pillion.dev/local" },
        finalizers: ["kubernetes.io/pv-protection"],
      },
      spec: {
        accessModes: ["ReadWriteOnce"],
        capacity: { storage: "1Gi" },
        claimRef: {
          kind: "PersistentVolumeClaim",
          namespace: "default",
          name: "data",
          uid: bound.metadata.uid,
        },
        local: { path: `/var/lib/pillion/volumes/default_data_${bound.metadata.uid}` },
        persistentVolumeReclaimPolicy: "Delete",
        storageClassName: "standard",
        volumeMode: "Filesystem",
      },
      status: { phase: "Bound" },
    });
    expect(statSync(folderOf(name)).mode & 0o7777).toBe(0o777);
    expect(events()).toEqual([`Normal ProvisioningSucceeded: Successfully provisioned volume ${name}`]);
  });

  test("goes with its volume and its data, once no pod has it [V25]", async () => {
    const { spec } = await claim("data");
    const folder = folderOf(spec?.volumeName ?? "");
    mkdirSync(join(folder, "deep"));
    writeFileSync(join(folder, "deep/file"), "x");
    await pod("p", { ...using("data"), nodeName: "node-1" });
    await remove(CLAIMS, "data");
    expect(read("data").metadata.deletionTimestamp).toBeString();
    expect(existsSync(folder)).toBe(true);
    await remove("pods", "p");
    expect(store.list(CLAIMS).items).toEqual([]);
    await volumesGone();
    expect(store.list(VOLUMES).items).toEqual([]);
    expect(readdirSync(join(nodeRoot, "var/lib/pillion/volumes"))).toEqual([]);
  });

  test("waits while there is no default class, and is told so once", async () => {
    store.delete("storageclasses.storage.k8s.io", { namespace: "", name: "standard" });
    await claim("data");
    await claim("other");
    expect(phase("data")).toBe("Pending");
    expect(events()).toEqual(
      Array.from(
        { length: 2 },
        () =>
          "Normal FailedBinding: no persistent volumes available for this claim and no storage class is set",
      ),
    );
    seedCluster(store, { apiPort: 1 });
    await settle();
    expect(phase("data")).toStartWith("Bound pvc-");
  });

  test("that asks for more later gets it: folders have no size", async () => {
    await claim("data");
    store.update(CLAIMS, at("data"), (current: Claim) => ({
      ...current,
      spec: { ...current.spec, resources: { requests: { storage: "5Gi" } } },
    }));
    await settle();
    expect(read("data").status?.capacity).toEqual({ storage: "5Gi" });
  });
});

describe("a claim with a class", () => {
  test("that does not exist waits for it [V25]", async () => {
    await claim("data", { storageClassName: "fast" });
    expect(phase("data")).toBe("Pending");
    expect(events()).toEqual(['Warning ProvisioningFailed: storageclass.storage.k8s.io "fast" not found']);
    store.create("storageclasses.storage.k8s.io", {
      apiVersion: "storage.k8s.io/v1",
      kind: "StorageClass",
      metadata: { name: "fast" },
      provisioner: "ebs.csi.aws.com",
      reclaimPolicy: "Retain",
    });
    await settle();
    expect(phase("data")).toStartWith("Bound pvc-");
    const { spec } = read("data");
    await remove(CLAIMS, "data");
    expect(readVolume(spec?.volumeName ?? "")?.status?.phase).toBe("Released");
    expect(existsSync(folderOf(spec?.volumeName ?? ""))).toBe(true);
  });

  test("that waits for its first consumer is bound when a pod names it", async () => {
    store.create("storageclasses.storage.k8s.io", {
      apiVersion: "storage.k8s.io/v1",
      kind: "StorageClass",
      metadata: { name: "lazy" },
      provisioner: "x",
      volumeBindingMode: "WaitForFirstConsumer",
    });
    await claim("data", { storageClassName: "lazy" });
    expect(events()).toEqual([
      "Normal WaitForFirstConsumer: waiting for first consumer to be created before binding",
    ]);
    await pod("p", using("data"));
    expect(phase("data")).toStartWith("Bound pvc-");
  });

  test.each<[string, PersistentVolumeClaim["spec"], string]>([
    ["blocks", { volumeMode: "Block" }, 'volumeMode "Block" is not supported; use "Filesystem"'],
    ["a copy", { dataSource: { kind: "PersistentVolumeClaim", name: "x" } }, "dataSource is not supported"],
    ["labels", { selector: { matchLabels: { a: "b" } } }, "claim.spec.selector is not supported"],
  ])("that asks for %s is refused in an event", async (_what, spec, text) => {
    await claim("data", spec);
    expect(events()[0]).toContain(text);
    expect(phase("data")).toBe("Pending");
  });
});

describe("volumes that somebody else made", () => {
  const none = { storageClassName: "" };

  test("are free until a claim takes the smallest that is large enough [V25]", async () => {
    await volume("big", { capacity: { storage: "10Gi" } });
    await volume("small", { capacity: { storage: "2Gi" } });
    await volume("tiny", { capacity: { storage: "500Mi" } });
    await volume("shared", { accessModes: ["ReadWriteMany"] });
    expect(readVolume("big")?.status?.phase).toBe("Available");
    await claim("data", none);
    expect(phase("data")).toBe("Bound small");
    expect(read("data").status?.capacity).toEqual({ storage: "2Gi" });
    await claim("many", { ...none, accessModes: ["ReadWriteMany"] });
    expect(phase("many")).toBe("Bound shared");
    await claim("huge", { ...none, resources: { requests: { storage: "100Gi" } } });
    expect(phase("huge")).toBe("Pending");
    await volume("hall", { capacity: { storage: "1Ti" } });
    expect(phase("huge")).toBe("Bound hall");
  });

  test("may be meant for one claim, and a claim for one volume", async () => {
    await volume("reserved", { claimRef: { namespace: "default", name: "late" } });
    await volume("named", { capacity: { storage: "10Gi" } });
    await claim("early", none);
    expect(phase("early")).toBe("Bound named");
    await claim("late", none);
    expect(phase("late")).toBe("Bound reserved");
    await claim("thief", { ...none, volumeName: "named" });
    expect(events()).toEqual(['Warning FailedBinding: volume "named" already bound to a different claim.']);
  });

  test("are kept when their claim goes, and are not given to the next one of its name", async () => {
    await volume("v");
    await claim("data", none);
    await remove(CLAIMS, "data");
    expect(readVolume("v")?.status?.phase).toBe("Released");
    await claim("data", none);
    expect(phase("data")).toBe("Pending");
    await remove(VOLUMES, "v");
    expect(readVolume("v")).toBeUndefined();
  });

  test("are not taken away from under a claim; one that is lost all the same is lost", async () => {
    await volume("v");
    await claim("data", none);
    await remove(VOLUMES, "v");
    expect(readVolume("v")?.metadata.deletionTimestamp).toBeString();
    store.update(VOLUMES, { namespace: "", name: "v" }, (current) => {
      const { finalizers: _, ...metadata } = current.metadata;
      return { ...current, metadata };
    });
    await settle();
    expect(phase("data")).toBe("Lost v");
    expect(events()).toEqual([
      "Warning ClaimLost: Bound claim has lost its PersistentVolume. Data on the volume is lost!",
    ]);
  });

  test("that nobody can delete say so", async () => {
    await volume("v", { persistentVolumeReclaimPolicy: "Delete" });
    await claim("data", none);
    await remove(CLAIMS, "data");
    expect(readVolume("v")?.status?.phase).toBe("Failed");
  });
});

describe("a generic ephemeral volume", () => {
  const template = {
    metadata: { labels: { a: "b" } },
    spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Mi" } } },
  };
  const spec = { volumes: [{ name: "tmp", ephemeral: { volumeClaimTemplate: template } }] };

  test("is a claim of the pod's own, and goes with the pod [V25]", async () => {
    const collector = startGarbageCollector({
      store,
      clock,
      resources: resources.filter(({ stored }) => stored),
    });
    try {
      await pod("p", { ...spec, nodeName: "node-1" });
      expect(phase("p-tmp")).toStartWith("Bound pvc-");
      const { labels, ownerReferences } = read("p-tmp").metadata;
      expect([labels, ownerReferences?.[0]?.kind, ownerReferences?.[0]?.controller]).toEqual([
        { a: "b" },
        "Pod",
        true,
      ]);
      await remove("pods", "p");
      await settle();
      expect(store.list(CLAIMS).items).toEqual([]);
    } finally {
      collector();
    }
  });

  test("does not take a claim that is somebody else's", async () => {
    await claim("p-tmp");
    const { uid } = read("p-tmp").metadata;
    await pod("p", spec);
    expect(read("p-tmp").metadata).toMatchObject({ uid });
    expect(read("p-tmp").metadata.ownerReferences).toBeUndefined();
  });
});

test("a link that a pod has put in the folders' place leads nowhere", async () => {
  const outside = mkdtempSync(join(tmpdir(), "claims-outside-"));
  try {
    symlinkSync(outside, join(nodeRoot, "var"));
    await claim("data");
    expect(phase("data")).toBe("Pending");
    expect(events()[0]).toStartWith(
      'Warning ProvisioningFailed: failed to provision volume with StorageClass "standard"',
    );
    expect(readdirSync(outside)).toEqual([]);
  } finally {
    rmSync(outside, { recursive: true });
  }
});
