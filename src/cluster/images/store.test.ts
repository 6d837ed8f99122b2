import { afterAll, describe, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../kernel/clock.ts";
import { startFakeRegistry } from "../../testing/fake-registry.ts";
import { TEST_PLATFORM, buildImage } from "../../testing/image-builder.ts";
import { addImage } from "./assemble.ts";
import type { FileRange } from "./byte-streams.ts";
import { openImages } from "./open-images.ts";
import { canonicalName, parseReference } from "./reference.ts";
import type { Reference } from "./reference.ts";
import { openStore } from "./store.ts";
import type { ImageStore } from "./store.ts";

const base = mkdtempSync(join(tmpdir(), "pillion-store-"));
afterAll(() => rmSync(base, { recursive: true, force: true }));
let count = 0;
const newRoot = (): string => join(base, String(count++));
const now = (): number => 1_000;

const one = buildImage({ layers: [[{ name: "which", content: "one" }]] });
const two = buildImage({ layers: [[{ name: "which", content: "two" }]] });
const ref = (name: string): Reference => parseReference(name);

async function add(store: ImageStore, image: typeof one, ...names: string[]): Promise<void> {
  const folder = mkdtempSync(join(base, "layers-"));
  image.layers.forEach((layer, index) => writeFileSync(join(folder, String(index)), layer));
  const locateLayer = (index: number): FileRange => ({ path: join(folder, String(index)), start: 0 });
  await addImage(
    store,
    { configBytes: image.config, layerCount: image.layers.length, locateLayer },
    { platform: TEST_PLATFORM },
  );
  for (const name of names) await store.name(ref(name), { id: image.id, manifestDigest: image.digest });
}

const names = (store: ImageStore): readonly string[] =>
  store.list().map(({ name, id }) => `${name} ${id === one.id ? 1 : 2}`);

describe("a store", () => {
  test("finds images by tag, by the manifest's digest and by id, in another process too", async () => {
    const root = newRoot();
    await add(openStore(root, { now }), one, "app:v1", "app:v2");
    const store = openStore(root, { now });
    const id = one.id;
    const found = ["app:v1", "app:v2", `app@${one.digest}`, `app:v9@${one.digest}`, `app@${id}`].map(
      (name) => store.find(ref(name))?.id,
    );
    expect(found).toEqual([id, id, id, id, id]);
    expect(
      ["app:v3", `other@${one.digest}`, `app@sha256:${"0".repeat(64)}`].map((name) => store.find(ref(name))),
    ).toEqual([undefined, undefined, undefined]);
    expect(store.list().map(({ name, namedAt, record }) => ({ name, namedAt, record }))).toEqual(
      ["app:v1", "app:v2"].map((name) => ({
        name: canonicalName(ref(name)),
        namedAt: 1_000,
        record: {
          bytes: 3,
          ownershipKept: process.getuid?.() === 0,
          skipped: { devices: 0, fifos: 0, others: 0, capabilities: 0 },
          addedAt: 1_000,
        },
      })),
    );
  });

  test("removes an image with its last name only, and refuses while it is in use", async () => {
    const root = newRoot();
    let isUsed = true;
    const store = openStore(root, { now, inUse: () => isUsed });
    await add(store, one, "a", "b");
    await store.remove(ref("a"));
    expect(names(store)).toEqual(["docker.io/library/b 1"]);
    await expect(store.remove(ref("b"))).rejects.toMatchObject({ code: "E_IMAGE_IN_USE" });
    isUsed = false;
    await store.remove(ref("b"));
    await expect(store.remove(ref("b"))).rejects.toMatchObject({ code: "E_IMAGE_NOT_FOUND" });
    expect(readdirSync(root).map((folder) => readdirSync(join(root, folder)))).toEqual([[], [], []]);
  });

  test("drops the image that loses its last name, unless it is in use", async () => {
    for (const isUsed of [false, true]) {
      const store = openStore(newRoot(), { now, inUse: () => isUsed });
      await add(store, one, "app");
      await add(store, two, "app");
      expect(names(store)).toEqual(["docker.io/library/app 2", ...(isUsed ? [" 1"] : [])]);
    }
  });

  test("leaves nothing of an image that could not be unpacked", async () => {
    const root = newRoot();
    const store = openStore(root, { now });
    const failing = {
      id: one.id,
      configBytes: one.config,
      fill: () => Promise.reject(new Error("disk full")),
    };
    await expect(store.add(failing)).rejects.toThrow("disk full");
    expect([store.list(), readdirSync(join(root, "tmp"))]).toEqual([[], []]);
  });

  test("keeps the first when two add the same image at once", async () => {
    const root = newRoot();
    const [a, b] = [openStore(root, { now }), openStore(root, { now })];
    await Promise.all([add(a, one, "x"), add(b, one, "y")]);
    expect(names(a)).toEqual(["docker.io/library/x 1", "docker.io/library/y 1"]);
    expect(readdirSync(join(root, "tmp"))).toEqual([]);
  });

  test("is readable by its user only", async () => {
    const root = newRoot();
    await add(openStore(root, { now }), one, "app");
    const modes = ["images", "names", "tmp", `images/${one.id.slice(7)}`].map((path) =>
      (lstatSync(join(root, path)).mode & 0o777).toString(8),
    );
    expect(modes).toEqual(["700", "700", "700", "700"]);
  });

  test("removes what a dead process left, and nothing of a living one", () => {
    const root = newRoot();
    const mine = openStore(root, { now }).scratch();
    const dead = join(root, "tmp/999999999-1-0");
    mkdirSync(join(dead, "locked/inner"), { recursive: true });
    writeFileSync(join(dead, "locked/inner/file"), "");
    chmodSync(join(dead, "locked/inner"), 0o500);
    chmodSync(join(dead, "locked"), 0o000);
    openStore(root, { now });
    expect([existsSync(mine), existsSync(dead)]).toEqual([true, false]);
  });

  test("that cannot be made is a problem with a fix", () => {
    const file = newRoot();
    writeFileSync(file, "");
    expect(() => openStore(join(file, "below"), { now })).toThrow(
      expect.objectContaining({ code: "E_IMAGE_STORE_UNUSABLE" }),
    );
  });
});

describe("a pull that is killed", () => {
  const files = Array.from({ length: 300 }, (_, index) => ({ name: `d/${index}`, content: `${index}` }));
  const image = buildImage({
    layers: [files, [{ name: "e", content: "2" }, { name: "d/.wh.7" }], [{ name: "f", content: "3" }]],
  });

  test.each(["open", "unpacked 0", "unpacked 1", "unpacked 2", "unpacked 3", "pulled"])(
    "at %p leaves a store that works",
    async (line) => {
      await using registry = await startFakeRegistry({ images: { "app:v1": image } });
      const root = newRoot();
      const name = `${registry.host}/app:v1`;
      const child = Bun.spawn(
        [process.execPath, join(import.meta.dir, "pull-process.test-support.ts"), root, name],
        { stdout: "pipe", stderr: "inherit" },
      );
      await killAt(child, line);
      const images = openImages({ root, clock: systemClock, platform: TEST_PLATFORM });
      expect(readdirSync(join(root, "tmp"))).toEqual([]);
      const { rootfs } = await images.resolve({ name, policy: "IfNotPresent" });
      const path = rootfs.kind === "image" ? rootfs.path : "";
      expect(readdirSync(path).toSorted()).toEqual(["d", "e", "f"]);
      expect(readdirSync(join(path, "d"))).toHaveLength(299);
      expect(readFileSync(join(path, "d/299"), "utf8")).toBe("299");
      expect(images.list()).toHaveLength(1);
      expect([readdirSync(join(root, "tmp")), readdirSync(join(root, "images"))]).toEqual([
        [],
        [image.id.slice(7)],
      ]);
    },
  );
});

/** SIGKILL as soon as the process has printed the line; it must not have ended before. */
async function killAt(child: Bun.Subprocess<"ignore", "pipe", "inherit">, line: string): Promise<void> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of child.stdout) {
    text += decoder.decode(chunk, { stream: true });
    if (text.split("\n").includes(line)) child.kill("SIGKILL");
  }
  await child.exited;
  expect(text).toContain(line);
}
