import { afterAll, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import type { ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { answer, startFakeRegistry } from "../../testing/fake-registry.ts";
import type { FakeRegistry, FakeRequest } from "../../testing/fake-registry.ts";
import { TEST_PLATFORM, buildImage, buildIndex } from "../../testing/image-builder.ts";
import { ManualClock } from "../../testing/manual-clock.ts";
import type { RegistryCredentials } from "./image.ts";
import { openImages } from "./open-images.ts";
import type { LocalImages, OpenImagesOptions } from "./open-images.ts";

const base = mkdtempSync(join(tmpdir(), "pillion-pull-"));
afterAll(() => rmSync(base, { recursive: true, force: true }));
let count = 0;

function open(
  options: Partial<OpenImagesOptions> = {},
): LocalImages & { readonly root: string; readonly clock: ManualClock } {
  const root = join(base, String(count++));
  const clock = new ManualClock();
  return Object.assign(openImages({ root, clock, platform: TEST_PLATFORM, ...options }), { root, clock });
}

/** Nothing half done is left. */
function leftovers(root: string): readonly string[] {
  return ["images", "tmp"].flatMap((folder) =>
    readdirSync(join(root, folder)).map((name) => `${folder}/${name}`),
  );
}

const QUIET_MS = 15;

/**
 * Lets the clock's time pass until the promise has settled. While the registry still has something to say it stands still,
 * so that no time limit hits a request that is being answered, unless the registry is `stuck`.
 */
async function fastForward<Result>(
  promise: Promise<Result>,
  {
    clock,
    registry,
    stuck = false,
  }: { readonly clock: ManualClock; readonly registry: FakeRegistry; readonly stuck?: boolean },
): Promise<Result> {
  const state = { isSettled: false };
  const settle = (): void => {
    state.isSettled = true;
  };
  promise.then(settle, settle);
  while (!state.isSettled) {
    const before = registry.requests.length;
    await new Promise((resolve) => setTimeout(resolve, QUIET_MS));
    const isQuiet = registry.open() === 0 && registry.requests.length === before;
    if (stuck || isQuiet) clock.advance(4_000);
  }
  return await promise;
}

const image = buildImage({
  layers: [
    [{ name: "a", content: "one" }],
    [{ name: "b", content: "x".repeat(100_000) }],
    [{ name: ".wh.a" }, { name: "c", content: "three" }],
  ],
  config: {
    Entrypoint: ["/b"],
    Cmd: ["--help"],
    Env: ["PATH=/own", "A=b"],
    User: "33:44",
    WorkingDir: "/w",
    StopSignal: "SIGQUIT",
    Volumes: { "/data": {} },
  },
});
const blobsOf = (built: typeof image): readonly string[] => [...built.blobs.keys()];

describe("a pull", () => {
  test("brings manifest, configuration and layers, and asks for nothing twice", async () => {
    await using registry = await startFakeRegistry({ images: { "team/app:v1": image } });
    const images = open();
    const name = `${registry.host}/team/app:v1`;
    const resolved = await images.resolve({ name, policy: "IfNotPresent" });
    const rootfs = resolved.rootfs.kind === "image" ? resolved.rootfs.path : "";
    expect(resolved).toEqual({
      name,
      id: `${registry.host}/team/app@${image.digest}`,
      rootfs: { kind: "image", path: rootfs },
      config: {
        entrypoint: ["/b"],
        cmd: ["--help"],
        env: ["PATH=/own", "A=b"],
        user: "33:44",
        workingDir: "/w",
        stopSignal: "SIGQUIT",
        volumes: ["/data"],
      },
      size: 100_005,
      pulled: true,
      pullMs: 0,
    });
    expect(readdirSync(rootfs).toSorted()).toEqual(["b", "c"]);
    expect(registry.log().toSorted()).toEqual(
      [
        "GET /v2/team/app/manifests/v1",
        ...blobsOf(image).map((digest) => `GET /v2/team/app/blobs/${digest.slice(7, 19)}`),
      ].toSorted(),
    );
    expect(leftovers(images.root)).toEqual([`images/${image.id.slice(7)}`]);
    expect(images.clock.pending).toBe(0);
    expect((await images.resolve({ name, policy: "IfNotPresent" })).pulled).toBe(false);
    expect(
      (await images.resolve({ name: `${registry.host}/team/app@${image.digest}`, policy: "Never" })).pulled,
    ).toBe(false);
  });

  test("chooses this machine's platform from an index, in indexes of both kinds", async () => {
    const arm = buildImage({
      layers: [[{ name: "arm", content: "" }]],
      platform: { os: "linux", architecture: "arm64" },
    });
    const windows = buildImage({ layers: [], platform: { os: "windows", architecture: "amd64" } });
    for (const format of ["oci", "docker"] as const) {
      const index = buildIndex([windows, arm, image], format);
      await using registry = await startFakeRegistry({ images: { "app:v1": index } });
      const name = `${registry.host}/app:v1`;
      const here = open();
      const there = open({ platform: { os: "linux", architecture: "arm64" } });
      expect((await here.resolve({ name, policy: "Always" })).id).toBe(
        `${registry.host}/app@${index.digest}`,
      );
      await there.resolve({ name, policy: "Always" });
      expect([here.list()[0]?.id, there.list()[0]?.id]).toEqual([image.id, arm.id]);
    }
  });

  test("says which platforms there are when none fits", async () => {
    const windows = buildImage({ layers: [], platform: { os: "windows", architecture: "amd64" } });
    const arm = buildImage({ layers: [], platform: { os: "linux", architecture: "arm64" } });
    await using registry = await startFakeRegistry({
      images: { "app:1": buildIndex([windows, arm]), "app:2": arm },
    });
    const images = open();
    const pull = (tag: string) => images.resolve({ name: `${registry.host}/app:${tag}`, policy: "Always" });
    await expect(pull("1")).rejects.toThrow(
      `cannot pull "${registry.host}/app:1": the image is not made for linux/amd64; it is made for windows/amd64, linux/arm64; ` +
        `to run it from this machine: pillion images map ${registry.host}/app:1 host`,
    );
    await expect(pull("2")).rejects.toThrow(
      "the image is not made for linux/amd64; it is made for linux/arm64",
    );
    expect(leftovers(images.root)).toEqual([]);
  });

  test("with policy Always asks for the digest only while nothing changed, and moves the tag when it did", async () => {
    const next = buildImage({ layers: [[{ name: "new", content: "" }]] });
    const served: Record<string, typeof image> = { "app:v1": image };
    await using registry = await startFakeRegistry({ images: served });
    const images = open({ inUse: () => false });
    const name = `${registry.host}/app:v1`;
    await images.resolve({ name, policy: "Always" });
    const before = registry.requests.length;
    expect((await images.resolve({ name, policy: "Always" })).pulled).toBe(true);
    expect(registry.log().slice(before)).toEqual(["HEAD /v2/app/manifests/v1"]);
    served["app:v1"] = next;
    await images.resolve({ name, policy: "Always" });
    expect(images.list().map(({ id }) => id)).toEqual([next.id]);
    expect(leftovers(images.root)).toEqual([`images/${next.id.slice(7)}`]);
  });

  test("keeps the image that lost its tag while a container runs from it", async () => {
    const next = buildImage({ layers: [[{ name: "new", content: "" }]] });
    const served: Record<string, typeof image> = { "app:v1": image };
    await using registry = await startFakeRegistry({ images: served });
    const images = open({ inUse: ({ id }) => id === image.id });
    const name = `${registry.host}/app:v1`;
    await images.resolve({ name, policy: "Always" });
    served["app:v1"] = next;
    await images.resolve({ name, policy: "Always" });
    expect(images.list().map((one) => [one.name, one.id, one.inUse])).toEqual([
      [name, next.id, false],
      ["", image.id, true],
    ]);
    await expect(images.remove(image.id)).rejects.toThrow("a container runs from it");
    await images.remove(name);
    await expect(images.remove(name)).rejects.toThrow(
      `Cannot remove the image "${name}": there is none of that name`,
    );
  });

  test("is shared by everybody who asks at the same time, and given up when nobody waits any more", async () => {
    const gate = Promise.withResolvers<void>();
    const closed = Promise.withResolvers<void>();
    await using registry = await startFakeRegistry({
      images: { "app:v1": image },
      intercept(request, response) {
        if (request.path.includes("/slow/")) {
          response.on("close", closed.resolve);
          return true;
        }
        if (!request.path.includes("/manifests/")) return false;
        void gate.promise.then(() => answer(request, response, { "app:v1": image }));
        return true;
      },
    });
    const images = open();
    const name = `${registry.host}/app:v1`;
    const impatient = new AbortController();
    const all = [
      images.resolve({ name, policy: "IfNotPresent" }),
      images.resolve({ name, policy: "Always" }),
      images.resolve({ name, policy: "IfNotPresent", signal: impatient.signal }),
    ];
    impatient.abort(new Error("gone"));
    await expect(all[2]).rejects.toThrow("gone");
    gate.resolve();
    expect((await Promise.all(all.slice(0, 2))).map(({ pulled }) => pulled)).toEqual([true, true]);
    expect(registry.log().filter((line) => line.includes("/manifests/"))).toHaveLength(1);

    const lonely = new AbortController();
    const slow = images.resolve({
      name: `${registry.host}/slow/app:v1`,
      policy: "Always",
      signal: lonely.signal,
    });
    while (!registry.log().some((line) => line.includes("/slow/")))
      await new Promise((resolve) => setTimeout(resolve, 1));
    lonely.abort(new Error("gone"));
    await expect(slow).rejects.toThrow("gone");
    await closed.promise;
    expect(readdirSync(join(images.root, "tmp"))).toEqual([]);
  });

  test("reports its progress", async () => {
    await using registry = await startFakeRegistry({ images: { "app:v1": image } });
    const seen: unknown[] = [];
    const images = open({ onProgress: (progress) => seen.push(progress) });
    await images.pull(`${registry.host}/app:v1`);
    const total = image.layers.reduce((sum, layer) => sum + layer.length, 0);
    expect(seen.at(-1)).toEqual({
      name: `${registry.host}/app:v1`,
      downloadedBytes: total,
      totalBytes: total,
      unpackedLayers: 3,
      totalLayers: 3,
    });
  });
});

type Intercept = (request: FakeRequest, response: ServerResponse) => boolean;

/** Calls `fault` for the first `times` requests whose path matches. */
function failing(path: RegExp, times: number, fault: (response: ServerResponse) => void): Intercept {
  let left = times;
  return (request, response) => {
    if (!path.test(request.path) || left === 0) return false;
    left -= 1;
    fault(response);
    return true;
  };
}

const [layer = new Uint8Array(0)] = image.layers.slice(1);
const layerPath = new RegExp(blobsOf(image)[2] ?? "");
const isStored = (images: LocalImages, name: string): boolean => images.isPresent(name);

describe("a pull recovers from", () => {
  test.each<[string, RegExp, number, (response: ServerResponse) => void, string | undefined]>([
    ["a server error", /manifests/, 3, (response) => response.writeHead(503).end(), undefined],
    [
      "a rate limit",
      /blobs/,
      2,
      (response) => response.writeHead(429, { "retry-after": "3" }).end(),
      undefined,
    ],
    [
      "a connection that breaks, where it broke",
      layerPath,
      2,
      (response) => {
        response.writeHead(200, { "content-length": layer.length });
        response.write(layer.subarray(0, 40), () => response.destroy());
      },
      "bytes=40-",
    ],
    [
      "a body that ends too early",
      layerPath,
      1,
      (response) => {
        response.writeHead(200, { connection: "close" });
        response.end(layer.subarray(0, 40));
      },
      "bytes=40-",
    ],
    [
      "a connection that breaks before it answers",
      /manifests/,
      1,
      (response) => response.destroy(),
      undefined,
    ],
  ])("%s", async (_name, path, times, fault, range) => {
    await using registry = await startFakeRegistry({
      images: { "app:v1": image },
      intercept: failing(path, times, fault),
    });
    const images = open();
    const name = `${registry.host}/app:v1`;
    await fastForward(images.resolve({ name, policy: "IfNotPresent" }), { clock: images.clock, registry });
    expect(isStored(images, name)).toBe(true);
    if (range !== undefined)
      expect(registry.requests.some(({ headers }) => headers.range === range)).toBe(true);
  });

  test("a registry that ignores ranges", async () => {
    let isBroken = false;
    await using registry = await startFakeRegistry({
      images: { "app:v1": image },
      intercept(request, response) {
        if (!layerPath.test(request.path)) return false;
        response.writeHead(200, { "content-length": layer.length });
        if (isBroken) response.end(layer);
        else response.write(layer.subarray(0, 40), () => response.destroy());
        isBroken = true;
        return true;
      },
    });
    const images = open();
    const name = `${registry.host}/app:v1`;
    await fastForward(images.resolve({ name, policy: "IfNotPresent" }), { clock: images.clock, registry });
    expect(isStored(images, name)).toBe(true);
  });
});

describe("a pull fails, says why and leaves nothing, for", () => {
  const wrong = Buffer.alloc(layer.length, 7);
  test.each<[string, Intercept, string]>([
    [
      "an image that is not there",
      failing(/manifests/, 1, (r) => r.writeHead(404).end()),
      "has no such image; to run it from this machine",
    ],
    ["a layer that is not there", failing(layerPath, 1, (r) => r.writeHead(404).end()), "has no such image"],
    [
      "a layer with other content",
      failing(layerPath, 1, (r) => r.writeHead(200).end(wrong)),
      "sent content with the digest sha256:",
    ],
    [
      "a layer that is longer",
      failing(layerPath, 1, (r) => r.writeHead(200).end(Buffer.concat([layer, layer]))),
      "sent more than the",
    ],
    [
      "another part of a layer",
      failing(layerPath, 1, (r) => r.writeHead(206, { "content-range": "bytes 5-9/10" }).end(layer)),
      "sent another part",
    ],
    [
      "a manifest with another digest than promised",
      failing(/manifests/, 1, (r) =>
        r.writeHead(200, { "docker-content-digest": image.id }).end(image.document),
      ),
      "sent a manifest with the digest",
    ],
    [
      "a manifest that is no JSON",
      failing(/manifests/, 1, (r) => r.writeHead(200).end("<html>")),
      "is not JSON",
    ],
    [
      "a manifest that is none",
      failing(/manifests/, 1, (r) => r.writeHead(200).end("{}")),
      "is not well-formed: config",
    ],
    [
      "a manifest of the obsolete schema",
      failing(/manifests/, 1, (r) => r.writeHead(200).end('{"schemaVersion":1}')),
      "obsolete Docker manifest schema 1",
    ],
    [
      "a manifest with a digest that is a path",
      failing(/manifests/, 1, (r) =>
        r.writeHead(200).end('{"config":{"digest":"sha256:../../x","size":1},"layers":[]}'),
      ),
      "config.digest: is not a digest",
    ],
    [
      "a huge manifest",
      failing(/manifests/, 1, (r) => r.writeHead(200).end(Buffer.alloc(5 << 20, 32))),
      "is larger than 4194304 bytes",
    ],
    [
      "a registry that fails for long",
      failing(/manifests/, 99, (r) => r.writeHead(500).end('{"errors":[{"message":"disk full"}]}')),
      "answered 500 (disk full)",
    ],
    [
      "a rate limit that lasts",
      failing(/manifests/, 99, (r) => r.writeHead(429, { "retry-after": "21600" }).end()),
      "limits the rate of pulls",
    ],
    [
      "a registry that wants to know who asks",
      failing(/manifests/, 99, (r) => r.writeHead(401).end()),
      "denies access: the image does not exist or needs credentials",
    ],
    [
      "a registry that forbids",
      failing(/manifests/, 1, (r) => r.writeHead(403).end('{"errors":[{"message":"go\\naway"}]}')),
      "denies access",
    ],
    [
      "a redirect in a circle",
      failing(/manifests/, 99, (r) => r.writeHead(302, { location: "/v2/app/manifests/v1" }).end()),
      "redirects in a circle",
    ],
    [
      "a redirect to a file",
      failing(/manifests/, 1, (r) => r.writeHead(302, { location: "file:///etc/passwd" }).end()),
      "redirects to a place that is no web address",
    ],
    [
      "a registry that does not answer",
      failing(/manifests/, 99, () => undefined),
      "did not answer within 30 s",
    ],
    [
      "a registry that stops in between",
      failing(layerPath, 99, (r) => r.writeHead(200, { "content-length": layer.length }).write("x")),
      "sent nothing for 60 s",
    ],
  ])("%s", async (_name, intercept, message) => {
    await using registry = await startFakeRegistry({ images: { "app:v1": image }, intercept });
    const images = open();
    const name = `${registry.host}/app:v1`;
    const pull = fastForward(images.resolve({ name, policy: "IfNotPresent" }), {
      clock: images.clock,
      registry,
      stuck: /for 60 s|within 30 s/.test(message),
    });
    await expect(pull).rejects.toThrow(message);
    await expect(pull).rejects.toMatchObject({ name: "ImageError", reason: "ErrImagePull" });
    expect(leftovers(images.root)).toEqual([]);
    expect(images.list()).toEqual([]);
    expect(images.clock.pending).toBe(0);
  });

  test("a layer that does not unpack to what the configuration promises", async () => {
    const other = buildImage({ layers: [[{ name: "evil", content: "" }]] });
    const lying = {
      ...image,
      document: Buffer.from(
        JSON.stringify({
          ...JSON.parse(Buffer.from(image.document).toString()),
          layers: JSON.parse(Buffer.from(other.document).toString()).layers,
        }),
      ),
      blobs: new Map([...image.blobs, ...other.blobs]),
    };
    const fewer = { ...lying, digest: `sha256:${"0".repeat(64)}` };
    await using registry = await startFakeRegistry({
      images: { "app:v1": fewer },
      intercept: (request, response) => {
        if (!request.path.includes("/manifests/")) return false;
        response.writeHead(200).end(lying.document);
        return true;
      },
    });
    const images = open();
    const pull = images.resolve({ name: `${registry.host}/app:v1`, policy: "Always" });
    await expect(pull).rejects.toThrow("the image has 1 layers, its configuration speaks of 3");
    expect(leftovers(images.root)).toEqual([]);
  });

  test("a hostile layer, however well its digests fit", async () => {
    const hostile = buildImage({
      layers: [[{ name: "ok", content: "" }], [{ name: "../../../../escaped", content: "x" }]],
    });
    await using registry = await startFakeRegistry({ images: { "app:v1": hostile } });
    const images = open();
    const pull = images.resolve({ name: `${registry.host}/app:v1`, policy: "Always" });
    await expect(pull).rejects.toThrow('"../../../../escaped" leads out of the image');
    expect(leftovers(images.root)).toEqual([]);
    expect(existsSync(join(images.root, "escaped"))).toBe(false);
  });

  test("no network at all, and says how to use what is there", async () => {
    const registry = await startFakeRegistry({ images: { "app:v1": image } });
    const images = open();
    const name = `${registry.host}/app:v1`;
    await images.resolve({ name, policy: "Always" });
    await registry[Symbol.asyncDispose]();
    await expect(images.resolve({ name, policy: "Always" })).rejects.toThrow(
      `cannot pull "${name}": ${registry.host} refuses connections; to use the image that is here: imagePullPolicy: IfNotPresent; ` +
        `to run it from this machine: pillion images map ${name} host`,
    );
    expect((await images.resolve({ name, policy: "IfNotPresent" })).pulled).toBe(false);
    await expect(images.resolve({ name: "other.invalid/x", policy: "IfNotPresent" })).rejects.toThrow(
      'cannot pull "other.invalid/x": no such host other.invalid (is this machine online?); to run it from this machine: pillion images map other.invalid/x host',
    );
  });
});

describe("credentials", () => {
  const login: RegistryCredentials = { username: "user", password: "pass word" };
  const basic = `Basic ${Buffer.from("user:pass word").toString("base64")}`;

  /** A registry that wants a token, and a token server that wants the login. */
  async function startWithTokens(tokenAnswer: (request: FakeRequest, response: ServerResponse) => void) {
    const tokens = await startFakeRegistry({
      intercept: (request, response) => {
        tokenAnswer(request, response);
        return true;
      },
    });
    const registry = await startFakeRegistry({
      images: { "team/app:v1": image },
      intercept: (request, response) => {
        if (request.headers.authorization === "Bearer t0ken") return false;
        const challenge = `Bearer realm="${tokens.origin}/token?x=1",service="reg,\\"1\\"",scope="repository:team/app:pull"`;
        response.writeHead(401, { "www-authenticate": challenge }).end();
        return true;
      },
    });
    return { tokens, registry, name: `${registry.host}/team/app:v1` };
  }

  test("are exchanged for a token, which serves the whole pull", async () => {
    const { tokens, registry, name } = await startWithTokens((request, response) => {
      response.end(JSON.stringify(request.headers.authorization === basic ? { access_token: "t0ken" } : {}));
    });
    await using _registry = registry;
    await using _tokens = tokens;
    const images = open();
    const hosts: string[] = [];
    const credentials = (host: string): RegistryCredentials => {
      hosts.push(host);
      return login;
    };
    await images.resolve({ name, policy: "Always", credentials });
    expect(hosts).toEqual([registry.host]);
    expect(tokens.log()).toEqual([
      "GET /token?x=1&service=reg%2C%221%22&scope=repository%3Ateam%2Fapp%3Apull&account=user",
    ]);
    // The login itself goes to the token server only.
    expect(registry.requests.some(({ headers }) => headers.authorization === basic)).toBe(false);
  });

  test("are not needed where the token server gives tokens to everybody", async () => {
    const { tokens, registry, name } = await startWithTokens((request, response) => {
      response.end(
        JSON.stringify(request.headers.authorization === undefined ? { token: "t0ken", expires_in: 60 } : {}),
      );
    });
    await using _registry = registry;
    await using _tokens = tokens;
    expect((await open().resolve({ name, policy: "Always" })).pulled).toBe(true);
  });

  test.each<[string, (response: ServerResponse) => void, string]>([
    ["refuses", (response) => response.writeHead(401).end(), 'denies access to user "user"'],
    ["answers without a token", (response) => response.end("{}"), "answered without a token"],
    [
      "answers with a token that would split the header",
      (response) => response.end('{"token":"a\\r\\nb"}'),
      "answered without a token",
    ],
    ["answers nonsense", (response) => response.end("<html>"), "the token server's answer is not JSON"],
    [
      "gives a token that the registry does not take",
      (response) => response.end('{"token":"other"}'),
      "denies access",
    ],
  ])(
    "lead to a clear error when the token server %s, without the password",
    async (_name, tokenAnswer, message) => {
      const { tokens, registry, name } = await startWithTokens((_request, response) => tokenAnswer(response));
      await using _registry = registry;
      await using _tokens = tokens;
      const failure = await open()
        .resolve({ name, policy: "Always", credentials: () => login })
        .catch((because: unknown) => String(because));
      expect(failure).toContain(message);
      expect(failure).not.toContain(login.password);
      expect(failure).not.toContain(basic);
    },
  );

  test("do not follow a redirect to another host", async () => {
    await using storage = await startFakeRegistry({ images: { "app:v1": image } });
    await using registry = await startFakeRegistry({
      images: { "app:v1": image },
      intercept(request, response) {
        if (request.headers.authorization !== basic) {
          response.writeHead(401, { "www-authenticate": 'Basic realm="x"' }).end();
          return true;
        }
        if (!request.path.includes("/blobs/")) return false;
        response.writeHead(307, { location: storage.origin + request.path }).end();
        return true;
      },
    });
    const images = open();
    await images.resolve({ name: `${registry.host}/app:v1`, policy: "Always", credentials: () => login });
    expect(storage.requests.length).toBe(image.blobs.size);
    expect(storage.requests.filter(({ headers }) => headers.authorization !== undefined)).toEqual([]);
  });

  test("of one pod do not decide over the pull of another", async () => {
    await using registry = await startFakeRegistry({
      images: { "app:v1": image },
      intercept(request, response) {
        if (request.headers.authorization === basic) return false;
        response.writeHead(401, { "www-authenticate": "Basic realm=x" }).end();
        return true;
      },
    });
    const images = open();
    const request = { name: `${registry.host}/app:v1`, policy: "IfNotPresent" as const };
    const [without, withLogin] = await Promise.allSettled([
      images.resolve(request),
      images.resolve({ ...request, credentials: () => login }),
    ]);
    expect([without.status, withLogin.status]).toEqual(["rejected", "fulfilled"]);
  });
});

test("a proxy is used only when the variables were handed in, and never for this machine", async () => {
  await using proxy = await startFakeRegistry({
    intercept(request, response) {
      const url = URL.parse(request.path);
      answer({ ...request, path: url === null ? request.path : url.pathname }, response, {
        "team/app:v1": image,
      });
      return true;
    },
  });
  await using registry = await startFakeRegistry({ images: { "app:v1": image } });
  const images = open({
    proxyVariables: { HTTP_PROXY: proxy.origin, NO_PROXY: "direct.invalid" },
    insecureRegistries: ["plain.invalid", "direct.invalid"],
  });
  await images.resolve({ name: "plain.invalid/team/app:v1", policy: "Always" });
  await images.resolve({ name: `${registry.host}/app:v1`, policy: "Always" });
  await expect(images.resolve({ name: "direct.invalid/team/app:v1", policy: "Always" })).rejects.toThrow(
    "no such host direct.invalid",
  );
  expect(proxy.requests.length).toBe(1 + image.blobs.size);
  expect(proxy.requests.every(({ headers }) => headers.host === "plain.invalid")).toBe(true);
  expect(registry.log().map((line) => line.split("/")[3])).toEqual(["manifests", "blobs"]);
  expect(readFileSync(join(images.root, "images", image.id.slice(7), "rootfs/c"), "utf8")).toBe("three");
});
