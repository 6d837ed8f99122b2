import { afterAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Problem } from "../../kernel/problem.ts";
import { loadImageMap, parseMapping, readImageMap } from "./image-map-file.ts";
import { PLAIN_HOST, describeMapping, lookUp, mergeMaps } from "./image-map.ts";
import type { ImageMapSource, MapEntry } from "./image-map.ts";
import { openKeptMap } from "./kept-map.ts";
import { parseReference, withDefaultTag } from "./reference.ts";

const base = mkdtempSync(join(tmpdir(), "pillion-map-"));
afterAll(() => rmSync(base, { recursive: true, force: true }));
for (const folder of ["express", "data", "layout", ".pillion", "maps"]) mkdirSync(join(base, folder));
for (const file of ["default.conf", "app.tar"]) writeFileSync(join(base, file), "");

const read = (text: string, file = join(base, ".pillion/images.yaml")): readonly MapEntry[] =>
  readImageMap({ file, text }).entries;

function problemOf(run: () => unknown): Problem {
  try {
    run();
  } catch (because) {
    if (because instanceof Problem) return because;
    throw because;
  }
  throw new Error("nothing was thrown");
}

describe("an image map file", () => {
  test("is read with every setting; paths are relative to the folder that holds .pillion", () => {
    const file = join(base, ".pillion/images.yaml");
    const entries = read(`images:
  nginx: host
  my/app:1.0:
    host:
      workdir: ./express
      command: [node, app.js]
      args: [--port, "8080"]
      env: { NODE_ENV: production }
      user: 1000
      stopSignal: quit
      copy: { ./default.conf: /etc/nginx/conf.d/ }
      folders: [data, /tmp]
  other: { oci: ./layout }
  third: { archive: app.tar }
  fourth: { host: {} }
  "*": host
`);
    expect(entries).toEqual([
      { name: "nginx", mapping: PLAIN_HOST, source: file, place: `${file}:2:3` },
      {
        name: "my/app:1.0",
        mapping: {
          kind: "host",
          workdir: join(base, "express"),
          command: ["node", "app.js"],
          args: ["--port", "8080"],
          env: { NODE_ENV: "production" },
          user: "1000",
          stopSignal: "SIGQUIT",
          copies: [{ from: join(base, "default.conf"), to: "/etc/nginx/conf.d/" }],
          folders: [join(base, "data"), "/tmp"],
        },
        source: file,
        place: `${file}:3:3`,
      },
      {
        name: "other",
        mapping: { kind: "oci", path: join(base, "layout") },
        source: file,
        place: `${file}:13:3`,
      },
      {
        name: "third",
        mapping: { kind: "archive", path: join(base, "app.tar") },
        source: file,
        place: `${file}:14:3`,
      },
      { name: "fourth", mapping: PLAIN_HOST, source: file, place: `${file}:15:3` },
      { name: "*", mapping: PLAIN_HOST, source: file, place: `${file}:16:3` },
    ]);
  });

  test("elsewhere resolves paths against its own folder", () => {
    const [entry] = read("images: { x: { oci: ../layout } }", join(base, "maps/my.yaml"));
    expect(entry?.mapping).toEqual({ kind: "oci", path: join(base, "layout") });
  });

  test("may be empty below its key", () => {
    expect(read("images:\n")).toEqual([]);
  });

  test.each([
    ["images: { a: hots }", 'Write "host", or one of the keys'],
    ["images: { a: 12 }", 'Write "host", or one of the keys'],
    ["images: { a: {} }", 'Write exactly one of "host", "oci" and "archive"'],
    ["images: { a: { oci: layout, archive: app.tar } }", 'Write exactly one of "host", "oci" and "archive"'],
    [
      "images: { My/App: host }",
      '"My/App" is not an image name: invalid reference format: repository name (App) must be lowercase',
    ],
    ['images: { "a b*": host }', '"a b*" is not a pattern of image names'],
    ["image: { a: host }", 'Unknown key "image"; did you mean "images"?'],
    ["images: { a: { host: { workdri: . } } }", 'Unknown key "workdri"; did you mean "workdir"?'],
    ["images: { a: { host: { workdir: nowhere } } }", `There is no folder "${join(base, "nowhere")}"`],
    ["images: { a: { host: { workdir: app.tar } } }", `"${join(base, "app.tar")}" is not a folder`],
    ["images: { a: { host: { workdir: / } } }", '"/" cannot be shown to a container'],
    ["images: { a: { host: { folders: [/proc/self] } } }", '"/proc/self" cannot be shown to a container'],
    ["images: { a: { host: { copy: { nothing: /x } } } }", `There is no file "${join(base, "nothing")}"`],
    ["images: { a: { host: { copy: { app.tar: x } } } }", "Write an absolute path in the container"],
    ["images: { a: { host: { env: { A: 1 } } } }", "Write a string; put numbers and true or false in quotes"],
    ["images: { a: { host: { env: { A=B: x } } } }", "A name of a variable holds no ="],
    ["images: { a: { host: { user: [] } } }", "Write a user"],
    ["images: { a: { host: { stopSignal: NOPE } } }", "Write a signal such as SIGQUIT"],
    ["images: { a: { host: { command: [] } } }", "Write at least the program"],
    ["images: { a: { oci: missing } }", `There is no folder "${join(base, "missing")}"`],
    ["images: { a: { archive: missing.tar } }", `There is no file "${join(base, "missing.tar")}"`],
    ['images: { a: { oci: "a\\0b" } }', "A path cannot hold a NUL character"],
  ])("is refused: %s", (text, message) => {
    expect(problemOf(() => read(text)).message).toContain(message);
  });

  test("that is not there is a problem with a fix", () => {
    expect(problemOf(() => loadImageMap(join(base, "nothing.yaml"))).code).toBe("E_IMAGE_MAP_UNREADABLE");
  });
});

describe("parseMapping()", () => {
  test.each([
    ["host", PLAIN_HOST],
    ["oci:layout", { kind: "oci", path: join(base, "layout") }],
    ["archive:app.tar", { kind: "archive", path: join(base, "app.tar") }],
    ["{ oci: layout }", { kind: "oci", path: join(base, "layout") }],
    ["host: { workdir: express }", { ...PLAIN_HOST, workdir: join(base, "express") }],
  ])("reads %s", (text, mapping) => {
    expect(parseMapping(text, base)).toEqual(mapping as never);
  });

  test.each(["", "hots", "oci:", "oci:missing", "[host]"])("refuses %j", (text) => {
    const { code, fix } = problemOf(() => parseMapping(text, base));
    expect(code).toMatch(/^E_CONFIG_/);
    // There is no file to correct.
    expect(fix).toStartWith("Write `host`, `oci:FOLDER`, `archive:FILE`");
  });
});

const source = (name: string, ...entries: [string, MapEntry["mapping"]][]): ImageMapSource => ({
  source: name,
  entries: entries.map(([image, mapping], index) => ({
    name: image,
    mapping,
    source: name,
    place: `${name}:${index + 2}:3`,
  })),
});
const oci = (path: string): MapEntry["mapping"] => ({ kind: "oci", path });
const D = "a".repeat(64);

describe("lookUp()", () => {
  const { entries } = source(
    "m",
    ["nginx", oci("/repository")],
    ["nginx:1.27", oci("/tag")],
    [`nginx@sha256:${D}`, oci("/digest")],
    ["quay.io/*", oci("/quay")],
    ["quay.io/team/*:v1", oci("/quay-v1")],
    ["*-debug", oci("/debug")],
  );

  test.each([
    ["nginx", "/repository"],
    ["docker.io/library/nginx:latest", "/repository"],
    ["nginx:1.27", "/tag"],
    [`nginx:1.27@sha256:${D}`, "/digest"],
    [`nginx@sha256:${"b".repeat(64)}`, "/repository"],
    ["quay.io/x/y", "/quay"],
    ["quay.io/team/app:v1", "/quay-v1"],
    ["quay.io/team/app:v2", "/quay"],
    ["app-debug", "/debug"],
    ["app-debug:v3", "/debug"],
    ["redis", undefined],
    ["my/nginx", undefined],
  ])("%s leads to %s", (name, path) => {
    const found = lookUp(entries, withDefaultTag(parseReference(name)))?.mapping;
    expect(found?.kind === "oci" ? found.path : undefined).toBe(path);
  });

  test("a name with a tag maps only that tag, and latest is one", () => {
    const { entries: tagged } = source("m", ["app:latest", oci("/x")]);
    const find = (name: string) => lookUp(tagged, withDefaultTag(parseReference(name))) !== undefined;
    expect(["app", "app:latest", "app:1"].map(find)).toEqual([true, true, false]);
  });

  test("a pattern of many stars is matched in time", () => {
    const { entries: many } = source("m", [`${"a*".repeat(40)}b`, oci("/x")]);
    expect(lookUp(many, { domain: "docker.io", path: "a".repeat(200), tag: "t" })).toBeUndefined();
  });
});

describe("mergeMaps()", () => {
  test("takes what agrees once, and names both places of everything that does not", () => {
    const first = source("a.yaml", ["nginx", oci("/1")], ["redis", oci("/2")], ["same", PLAIN_HOST]);
    const second = source(
      "b.yaml",
      ["docker.io/library/nginx", oci("/3")],
      ["same", PLAIN_HOST],
      ["redis", PLAIN_HOST],
    );
    const problem = problemOf(() => mergeMaps([first, second]));
    expect([problem.code, problem.message]).toEqual([
      "E_IMAGE_MAP_CONFLICT",
      'Cannot merge the image maps: "docker.io/library/nginx" is oci /1 at a.yaml:2:3, and oci /3 at b.yaml:2:3; ' +
        '"redis" is oci /2 at a.yaml:3:3, and host at b.yaml:4:3',
    ]);
    expect(
      mergeMaps([first, source("c.yaml", ["same", PLAIN_HOST], ["new", PLAIN_HOST])]).map(({ name }) => name),
    ).toEqual(["nginx", "redis", "same", "new"]);
  });

  test("shows names of variables, never their values", () => {
    expect(describeMapping({ ...PLAIN_HOST, workdir: "/w", env: { TOKEN: "s3cret" }, user: "1" })).toBe(
      "host (workdir /w; env TOKEN; user 1)",
    );
  });
});

describe("the kept map", () => {
  test("survives, follows its files, and remembers commands", () => {
    const file = join(base, "map.json");
    const kept = openKeptMap(file);
    kept.adopt([source("a.yaml", ["nginx", oci("/1")], ["redis", oci("/2")])]);
    kept.map("app", PLAIN_HOST);
    kept.map("app", oci("/x"));
    kept.adopt([source("a.yaml", ["nginx", oci("/changed")])]);
    const names = openKeptMap(file)
      .entries()
      .map(({ name, mapping, place }) => `${name} ${describeMapping(mapping)} ${place}`);
    expect(names).toEqual(["app oci /x `pillion images map`", "nginx oci /changed a.yaml:2:3"]);
    expect(openKeptMap(file).entries()).toEqual(kept.entries());
    kept.unmap("docker.io/library/nginx");
    expect(kept.entries().map(({ name }) => name)).toEqual(["app"]);
    expect(problemOf(() => kept.unmap("nginx")).code).toBe("E_IMAGE_NOT_MAPPED");
  });

  test("refuses a command that disagrees with a file, and stays as it was", () => {
    const kept = openKeptMap(join(base, "map2.json"));
    kept.adopt([source("a.yaml", ["nginx", PLAIN_HOST])]);
    expect(problemOf(() => kept.map("nginx", oci("/x"))).message).toContain("`pillion images map`");
    expect(problemOf(() => kept.adopt([source("b.yaml", ["nginx", oci("/x")])])).code).toBe(
      "E_IMAGE_MAP_CONFLICT",
    );
    kept.map("nginx", PLAIN_HOST);
    expect(kept.entries().map(({ mapping }) => mapping)).toEqual([PLAIN_HOST]);
  });

  test("keeps every kind of mapping as it was", () => {
    const file = join(base, "map3.json");
    const full = {
      ...PLAIN_HOST,
      workdir: "/w",
      command: ["a"],
      args: ["b"],
      env: { A: "1" },
      user: "u",
      copies: [{ from: "/f", to: "/t" }],
      folders: ["/d"],
    };
    openKeptMap(file).adopt([
      source(
        "a.yaml",
        ["one", full],
        ["two", PLAIN_HOST],
        ["three", oci("/x")],
        ["four", { kind: "archive", path: "/y" }],
      ),
    ]);
    expect(
      openKeptMap(file)
        .entries()
        .map(({ mapping }) => mapping),
    ).toEqual([full, PLAIN_HOST, oci("/x"), { kind: "archive", path: "/y" }]);
  });

  test("that is damaged is a problem with a fix", () => {
    const file = join(base, "map4.json");
    writeFileSync(file, "{");
    expect(problemOf(() => openKeptMap(file)).code).toBe("E_IMAGE_MAP_UNREADABLE");
  });
});
