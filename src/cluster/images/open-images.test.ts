import { afterAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Problem } from "../../kernel/problem.ts";
import { TEST_PLATFORM, buildImage, ociLayout, writeFiles } from "../../testing/image-builder.ts";
import { ManualClock } from "../../testing/manual-clock.ts";
import { readImageMap } from "./image-map-file.ts";
import { PLAIN_HOST } from "./image-map.ts";
import { openImages } from "./open-images.ts";
import type { LocalImages, OpenImagesOptions } from "./open-images.ts";
import { familiarName } from "./reference.ts";

const base = mkdtempSync(join(tmpdir(), "pillion-images-"));
afterAll(() => rmSync(base, { recursive: true, force: true }));
let count = 0;

function open(options: Partial<OpenImagesOptions> = {}): LocalImages {
  return openImages({
    root: join(base, String(count++)),
    clock: new ManualClock(),
    platform: TEST_PLATFORM,
    ...options,
  });
}

const DEFAULT_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

describe("a name mapped to host", () => {
  test("is this machine's root and a shell, whatever the policy", async () => {
    const images = open();
    images.map("nginx", PLAIN_HOST);
    for (const policy of ["Always", "IfNotPresent", "Never"] as const) {
      const resolved = await images.resolve({ name: "nginx:1.27", policy });
      expect(resolved).toEqual({
        name: "nginx:1.27",
        id: expect.stringMatching(/^sha256:[0-9a-f]{64}$/),
        rootfs: { kind: "host", folders: [], copies: [] },
        config: {
          entrypoint: [],
          cmd: ["/bin/sh"],
          env: [DEFAULT_PATH],
          user: "",
          workingDir: "",
          stopSignal: "SIGTERM",
          volumes: [],
        },
        size: 0,
        pulled: false,
        pullMs: 0,
      });
    }
    expect(images.isPresent("docker.io/library/nginx")).toBe(true);
  });

  test("takes its settings from the map file", async () => {
    const folder = join(base, "project");
    mkdirSync(join(folder, "express"), { recursive: true });
    writeFileSync(join(folder, "default.conf"), "");
    const map = readImageMap({
      file: join(folder, "images.yaml"),
      text: "images: { app: { host: { workdir: express, command: [node, app.js], env: { A: b }, user: 33, copy: { default.conf: /etc/x/ }, folders: [., express] } } }",
    });
    const resolved = await open({ maps: [map] }).resolve({ name: "app", policy: "Always" });
    expect(resolved.rootfs).toEqual({
      kind: "host",
      folders: [{ path: join(folder, "express") }, { path: folder }],
      copies: [{ from: join(folder, "default.conf"), to: "/etc/x/" }],
    });
    expect(resolved.config).toEqual({
      entrypoint: ["node", "app.js"],
      cmd: [],
      env: [DEFAULT_PATH, "A=b"],
      user: "33",
      workingDir: join(folder, "express"),
      stopSignal: "SIGTERM",
      volumes: [],
    });
  });

  test("has an id that changes with its settings", async () => {
    const images = open();
    const idOf = async (user: string): Promise<string> => {
      images.map("app", { ...PLAIN_HOST, user });
      return (await images.resolve({ name: "app", policy: "Always" })).id;
    };
    const [first, second, again] = [await idOf("1"), await idOf("2"), await idOf("1")];
    expect([first === second, first === again]).toEqual([false, true]);
  });

  test("says so when a folder of the map is gone", async () => {
    const workdir = join(base, "short-lived");
    const images = open();
    images.map("app", { ...PLAIN_HOST, workdir });
    await expect(images.resolve({ name: "app", policy: "Always" })).rejects.toMatchObject({
      reason: "ErrImagePull",
      message: `cannot use "${workdir}", mapped for "app" by \`pillion images map\`: it does not exist`,
    });
  });
});

describe("resolve()", () => {
  test.each([
    ["", 'couldn\'t parse image name "": invalid reference format'],
    ["nginx::1", 'couldn\'t parse image name "nginx::1": invalid reference format'],
    [
      "NGINX",
      'couldn\'t parse image name "NGINX": invalid reference format: repository name (library/NGINX) must be lowercase',
    ],
  ])("answers InvalidImageName for %j", async (name, message) => {
    const images = open();
    await expect(images.resolve({ name, policy: "IfNotPresent" })).rejects.toMatchObject({
      reason: "InvalidImageName",
      message,
    });
    expect(images.isPresent(name)).toBe(false);
  });

  test("answers ErrImageNeverPull when the policy forbids what would be needed", async () => {
    await expect(open().resolve({ name: "nginx", policy: "Never" })).rejects.toMatchObject({
      reason: "ErrImageNeverPull",
      message: 'Container image "nginx" is not present with pull policy of Never',
    });
  });

  test("asks the map, then what is built in, then the store", async () => {
    const root = join(base, String(count++));
    const layout = join(base, "layout");
    writeFiles(layout, ociLayout([{ image: buildImage({ layers: [] }), refName: "pillion:v1" }]));
    const config = {
      entrypoint: [],
      cmd: [],
      env: [],
      user: "",
      workingDir: "",
      stopSignal: "SIGTERM",
      volumes: [],
    };
    const images = open({
      root,
      builtin: {
        has: (reference) => familiarName(reference).startsWith("pillion:"),
        resolve: ({ name }) =>
          Promise.resolve({ name, id: "builtin", rootfs: { kind: "image", path: "/x" }, config, size: 1 }),
      },
    });
    const idOf = async (): Promise<string> =>
      (await images.resolve({ name: "pillion:v1", policy: "Never" })).id;
    expect([images.isPresent("pillion"), images.isPresent("pillions")]).toEqual([true, false]);
    await images.import(layout);
    expect(await idOf()).toBe("builtin");
    images.map("pillion", PLAIN_HOST);
    expect(await idOf()).toStartWith("sha256:");
    const plain = openImages({ root: join(root), clock: new ManualClock(), platform: TEST_PLATFORM });
    plain.unmap("pillion");
    expect((await plain.resolve({ name: "pillion:v1", policy: "IfNotPresent" })).id).toStartWith(
      "docker.io/library/pillion@sha256:",
    );
  });

  test("takes a damaged image for none, and mends it with the next import or pull", async () => {
    const root = join(base, String(count++));
    const images = open({ root });
    const layout = join(base, "layout2");
    const image = buildImage({ layers: [[{ name: "f", content: "1" }]] });
    writeFiles(layout, ociLayout([{ image, refName: "app:v1" }]));
    for (const file of ["config.json", "record.json"]) {
      await images.import(layout);
      writeFileSync(join(root, "images", image.id.slice(7), file), "{");
      expect([images.isPresent("app:v1"), images.list()]).toEqual([false, []]);
      await expect(images.resolve({ name: "app:v1", policy: "Never" })).rejects.toMatchObject({
        reason: "ErrImageNeverPull",
      });
      await images.import(layout);
      expect((await images.resolve({ name: "app:v1", policy: "Never" })).size).toBe(1);
    }
  });

  test("answers ImageInspectError when the store cannot be read", async () => {
    const root = join(base, String(count++));
    const images = open({ root });
    rmSync(join(root, "names"), { recursive: true });
    writeFileSync(join(root, "names"), "");
    const name = `app@sha256:${"0".repeat(64)}`;
    await expect(images.resolve({ name, policy: "IfNotPresent" })).rejects.toMatchObject({
      reason: "ImageInspectError",
    });
    images.map("other", PLAIN_HOST);
    expect((await images.resolve({ name: "other", policy: "Never" })).size).toBe(0);
  });
});

describe("the map and the store answer with problems:", () => {
  test.each<[string, (images: LocalImages) => unknown, string]>([
    [
      "a name that is none cannot be mapped",
      (images) => images.map("Bad Name", PLAIN_HOST),
      "E_IMAGE_NAME_INVALID",
    ],
    ["a name that is none cannot be unmapped", (images) => images.unmap("Bad Name"), "E_IMAGE_NAME_INVALID"],
    ["a name that is not mapped cannot be unmapped", (images) => images.unmap("nginx"), "E_IMAGE_NOT_MAPPED"],
    ["a name that is none cannot be removed", (images) => images.remove("Bad Name"), "E_IMAGE_NAME_INVALID"],
    ["an image that is not there cannot be removed", (images) => images.remove("nginx"), "E_IMAGE_NOT_FOUND"],
    ["nor by an id", (images) => images.remove("0123456789ab"), "E_IMAGE_NOT_FOUND"],
  ])("%s", async (_name, act, code) => {
    const images = open();
    const failure: unknown = await (async () => act(images))().catch((because: unknown) => because);
    expect(failure).toBeInstanceOf(Problem);
    expect(failure).toHaveProperty("code", code);
  });
});
