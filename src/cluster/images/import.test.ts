import { afterAll, describe, expect, test } from "bun:test";
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import {
  TEST_PLATFORM,
  buildImage,
  buildIndex,
  dockerSave,
  ociLayout,
  tarOf,
  writeFiles,
} from "../../testing/image-builder.ts";
import { ManualClock } from "../../testing/manual-clock.ts";
import { tar } from "../../testing/tar-builder.ts";
import { openImages } from "./open-images.ts";
import type { LocalImages } from "./open-images.ts";

const base = mkdtempSync(join(tmpdir(), "pillion-import-"));
afterAll(() => rmSync(base, { recursive: true, force: true }));
let count = 0;
const newPath = (): string => join(base, String(count++));

function open(): LocalImages & { readonly root: string } {
  const root = newPath();
  return Object.assign(openImages({ root, clock: new ManualClock(), platform: TEST_PLATFORM }), { root });
}

function file(bytes: Uint8Array): string {
  const path = newPath();
  writeFileSync(path, bytes);
  return path;
}

function folder(files: ReadonlyMap<string, Uint8Array>): string {
  const path = newPath();
  writeFiles(path, files);
  return path;
}

const web = buildImage({ layers: [[{ name: "which", content: "web" }], [{ name: "shared", content: "s" }]] });
const db = buildImage({ layers: [[{ name: "which", content: "db" }]], compression: "zstd" });
const plainWeb = buildImage({
  layers: [[{ name: "which", content: "web" }], [{ name: "shared", content: "s" }]],
  compression: "none",
  format: "docker",
});

async function contentOf(images: LocalImages, name: string): Promise<string> {
  const { rootfs } = await images.resolve({ name, policy: "Never" });
  return readFileSync(join(rootfs.kind === "image" ? rootfs.path : "", "which"), "utf8");
}

describe("import", () => {
  const oci = ociLayout([
    { image: web, refName: "registry.test/web:1" },
    { image: db, refName: "16", containerdName: "docker.io/library/db:16" },
  ]);
  test.each<[string, () => string]>([
    ["a folder", () => folder(oci)],
    ["a tar", () => file(tarOf(oci))],
    ["a tar with gzip", () => file(gzipSync(tarOf(oci)))],
    ["a tar with zstd", () => file(zstdCompressSync(tarOf(oci)))],
  ])("takes all images of an OCI layout: %s", async (_name, make) => {
    const images = open();
    expect(await images.import(make())).toEqual([
      { name: "registry.test/web:1", id: web.id },
      { name: "docker.io/library/db:16", id: db.id },
    ]);
    expect([await contentOf(images, "registry.test/web:1"), await contentOf(images, "db:16")]).toEqual([
      "web",
      "db",
    ]);
    expect(images.list().map(({ name, manifestDigest }) => [name, manifestDigest])).toEqual([
      ["db:16", db.digest],
      ["registry.test/web:1", web.digest],
    ]);
    expect(readdirSync(join(images.root, "tmp"))).toEqual([]);
  });

  test("takes all images and all their tags of a docker save archive", async () => {
    const images = open();
    const saved = dockerSave([
      { image: plainWeb, tags: ["web:1", "team/web:latest"] },
      { image: db, tags: ["db:16"] },
    ]);
    expect((await images.import(file(tarOf(saved)))).map(({ name }) => name)).toEqual([
      "docker.io/library/web:1",
      "docker.io/team/web:latest",
      "docker.io/library/db:16",
    ]);
    expect(images.list()).toHaveLength(3);
    expect(await contentOf(images, "team/web")).toBe("web");
  });

  test("takes layers that docker save shares by a link", async () => {
    const saved = [...dockerSave([{ image: plainWeb, tags: ["web:1"] }])];
    const layer = saved.findIndex(([path]) => path.endsWith("/layer.tar"));
    const entries = saved.map(([name, content], index) =>
      index === layer ? { name, type: "2", linkName: "../real/layer.tar" } : { name, content },
    );
    const images = open();
    await images.import(
      file(tar([...entries, { name: "real/layer.tar", content: saved[layer]?.[1] ?? "" }])),
    );
    expect(await contentOf(images, "web:1")).toBe("web");
  });

  test("takes the tags from manifest.json where the index has none", async () => {
    const images = open();
    const both = new Map([...dockerSave([{ image: web, tags: ["both:1"] }]), ...ociLayout([{ image: web }])]);
    expect(await images.import(folder(both))).toEqual([{ name: "docker.io/library/both:1", id: web.id }]);
    expect(images.list()[0]?.manifestDigest).toBe(web.digest);
  });

  test("chooses this machine's platform, nested or flat", async () => {
    const arm = buildImage({ layers: [], platform: { os: "linux", architecture: "arm64" } });
    const images = open();
    await images.import(folder(ociLayout([{ image: buildIndex([arm, web]), refName: "multi:1" }])));
    const flat = ociLayout([{ image: arm }, { image: web }]);
    const index = JSON.parse(Buffer.from(flat.get("index.json") ?? "").toString());
    index.manifests[0].platform = arm.platform;
    index.manifests[1].platform = web.platform;
    await images.import(
      folder(new Map(flat).set("index.json", Buffer.from(JSON.stringify(index)))),
      "flat:1",
    );
    expect(images.list().map(({ name, id }) => [name, id])).toEqual([
      ["flat:1", web.id],
      ["multi:1", web.id],
    ]);
  });

  test("names the only image as asked, and moves a name that there was", async () => {
    const images = open();
    const path = folder(ociLayout([{ image: web, refName: "1" }]));
    await expect(images.import(path)).rejects.toMatchObject({
      code: "E_IMAGE_IMPORT_NAME",
      fix: `Name it: pillion images import ${path} --as NAME`,
    });
    expect(await images.import(path, "my/web")).toEqual([{ name: "docker.io/my/web:latest", id: web.id }]);
    await images.import(folder(ociLayout([{ image: db }])), "my/web");
    expect(await contentOf(images, "my/web")).toBe("db");
    await expect(images.import(folder(oci), "one-name")).rejects.toMatchObject({
      code: "E_IMAGE_IMPORT_NAME",
    });
    await expect(images.import(path, "Bad Name")).rejects.toMatchObject({ code: "E_IMAGE_ARCHIVE" });
  });
});

describe("import refuses, and leaves nothing of:", () => {
  const layout = ociLayout([{ image: web, refName: "web:1" }]);
  const without = (part: string): ReadonlyMap<string, Uint8Array> =>
    new Map([...layout].filter(([path]) => !path.includes(part)));
  const changed = (digest: string, bytes: Uint8Array): ReadonlyMap<string, Uint8Array> =>
    new Map(layout).set(`blobs/${digest.replace(":", "/")}`, bytes);
  const hex = (digest: string): string => digest.slice("sha256:".length);
  const [, layerDigest = ""] = [...web.blobs.keys()];

  test.each<[string, () => string, string]>([
    ["what is not there", () => join(base, "nothing"), "ENOENT"],
    ["an empty file", () => file(new Uint8Array(0)), "it has no image"],
    ["a file of another kind", () => file(Buffer.alloc(2_000, "x")), "it is not a tar archive"],
    ["a folder without an image", () => folder(new Map([["x", Buffer.from("y")]])), "it has no image"],
    ["a cut off archive", () => file(tarOf(layout).subarray(0, 1_200)), "the archive is cut off"],
    [
      "a damaged compressed archive",
      () => file(gzipSync(tarOf(layout)).subarray(0, 500)),
      "the gzip data is damaged",
    ],
    [
      "an index that is no JSON",
      () => folder(new Map(layout).set("index.json", Buffer.from("{"))),
      "index.json is not JSON",
    ],
    [
      "an index that is a manifest",
      () => folder(new Map(layout).set("index.json", web.document)),
      "index.json is not an image index",
    ],
    [
      "a missing manifest",
      () => folder(without(hex(web.digest))),
      `it has no file "blobs/sha256/${hex(web.digest)}"`,
    ],
    [
      "a missing layer",
      () => folder(without(hex(layerDigest))),
      `it has no file "blobs/sha256/${hex(layerDigest)}"`,
    ],
    [
      "another manifest than its digest says",
      () => folder(changed(web.digest, db.document)),
      `the content of ${web.digest} has the digest ${db.digest}`,
    ],
    [
      "another configuration than its digest says",
      () => folder(changed(web.id, db.config)),
      "has the digest",
    ],
    [
      "another layer than the configuration says",
      () => folder(changed(layerDigest, gzipSync(tar([])))),
      "layer 1 unpacks to sha256:",
    ],
    [
      "a docker manifest with paths that lead out",
      () =>
        file(
          tarOf(
            new Map([
              [
                "manifest.json",
                Buffer.from('[{"Config":"../../etc/passwd","RepoTags":["a:1"],"Layers":[]}]'),
              ],
            ]),
          ),
        ),
      "leads out of the image",
    ],
    [
      "a docker manifest that is none",
      () => file(tarOf(new Map([["manifest.json", Buffer.from('[{"Config":1}]')]]))),
      "manifest.json is not well-formed: 0.Config",
    ],
    [
      "a link in a circle",
      () => file(tar([{ name: "manifest.json", type: "2", linkName: "manifest.json" }])),
      "it has no image",
    ],
    [
      "a link out of the archive",
      () => file(tar([{ name: "index.json", type: "2", linkName: "../../../../etc/passwd" }])),
      "it has no image",
    ],
    [
      "a name that is none",
      () => folder(ociLayout([{ image: web, refName: "Not/A:Name" }])),
      'it names an image "Not/A:Name"',
    ],
    [
      "an image for another machine",
      () =>
        folder(
          ociLayout([
            {
              image: buildImage({ layers: [], platform: { os: "linux", architecture: "s390x" } }),
              refName: "x:1",
            },
          ]),
        ),
      "it is made for linux/s390x",
    ],
  ])("%s", async (_name, make, message) => {
    const images = open();
    const importing = images.import(make());
    await expect(importing).rejects.toThrow(message);
    await expect(importing).rejects.toMatchObject({ name: "Problem", code: "E_IMAGE_ARCHIVE" });
    expect(images.list()).toEqual([]);
    expect(["images", "names", "tmp"].map((part) => readdirSync(join(images.root, part)))).toEqual([
      [],
      [],
      [],
    ]);
  });
});

describe("an image that the map leads to", () => {
  test("is taken from the layout, anew when the layout changes, and never pulled", async () => {
    const images = openImages({
      root: newPath(),
      clock: new ManualClock(),
      platform: TEST_PLATFORM,
      inUse: () => false,
    });
    const path = folder(ociLayout([{ image: web }]));
    images.map("app.invalid/web", { kind: "oci", path });
    expect(images.isPresent("app.invalid/web:any")).toBe(true);
    const request = { name: "app.invalid/web", policy: "Always" } as const;
    const first = await images.resolve(request);
    expect([first.pulled, first.id, first.name]).toEqual([
      false,
      `app.invalid/web@${web.digest}`,
      "app.invalid/web",
    ]);
    expect(await images.resolve(request)).toEqual(first);
    // A name of the store's own keeps it; people see it without a name.
    expect(images.list().map(({ name, id }) => [name, id])).toEqual([["", web.id]]);
    rmSync(path, { recursive: true });
    writeFiles(path, ociLayout([{ image: db }]));
    expect((await images.resolve(request)).id).toBe(`app.invalid/web@${db.digest}`);
    expect(images.list().map(({ id }) => id)).toEqual([db.id]);
    rmSync(path, { recursive: true });
    await expect(images.resolve(request)).rejects.toThrow(
      `cannot use "${path}", mapped for "app.invalid/web" by \`pillion images map\`: it does not exist`,
    );
  });

  test("is the one of that name where an archive has several", async () => {
    const images = open();
    const path = file(
      tarOf(
        ociLayout([
          { image: web, refName: "a.test/web:1" },
          { image: db, refName: "a.test/db:1" },
        ]),
      ),
    );
    for (const name of ["a.test/web", "a.test/db:1", "a.test/else"])
      images.map(name, { kind: "archive", path });
    const idOf = async (name: string): Promise<string> =>
      (await images.resolve({ name, policy: "Never" })).id;
    expect([await idOf("a.test/web:1"), await idOf("a.test/web:2"), await idOf("a.test/db:1")]).toEqual([
      `a.test/web@${web.digest}`,
      `a.test/web@${web.digest}`,
      `a.test/db@${db.digest}`,
    ]);
    await expect(idOf("a.test/else")).rejects.toThrow(
      'it has 2 images (a.test/web:1, a.test/db:1), none of them is "a.test/else:latest"',
    );
  });

  test("is read once however many ask at the same time", async () => {
    const images = open();
    const path = folder(ociLayout([{ image: web }]));
    images.map("x", { kind: "oci", path });
    const all = await Promise.all(
      Array.from({ length: 5 }, () => images.resolve({ name: "x", policy: "IfNotPresent" })),
    );
    expect(new Set(all.map(({ id }) => id)).size).toBe(1);
    expect(readdirSync(join(images.root, "tmp"))).toEqual([]);
  });
});

test("a link in a layout folder is the user's own business, content is checked anyway", async () => {
  const images = open();
  const path = folder(ociLayout([{ image: web, refName: "web:1" }]));
  const elsewhere = newPath();
  mkdirSync(elsewhere);
  writeFileSync(join(elsewhere, "layer"), "something else");
  const [, digest = ""] = [...web.blobs.keys()];
  const blob = join(path, "blobs", digest.replace(":", "/"));
  rmSync(blob);
  symlinkSync(join(elsewhere, "layer"), blob);
  await expect(images.import(path)).rejects.toThrow(/cut off|unpacks to/);
});
