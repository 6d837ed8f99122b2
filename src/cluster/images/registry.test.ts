import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { sign } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../kernel/clock.ts";
import { dockerRegistryPath, startDockerRegistry } from "../../testing/docker-registry.ts";
import type { DockerRegistry } from "../../testing/docker-registry.ts";
import { startFakeRegistry } from "../../testing/fake-registry.ts";
import { TEST_PLATFORM, buildImage, buildIndex, pushImage } from "../../testing/image-builder.ts";
import { createAuthority, createServerCertificate } from "../api/make-certificates.ts";
import { openImages } from "./open-images.ts";
import type { LocalImages } from "./open-images.ts";

const base = mkdtempSync(join(tmpdir(), "pillion-registry-test-"));
afterAll(() => rmSync(base, { recursive: true, force: true }));
let count = 0;

function open(): LocalImages {
  return openImages({ root: join(base, String(count++)), clock: systemClock, platform: TEST_PLATFORM });
}

async function contentOf(images: LocalImages, name: string, file: string): Promise<string> {
  const { rootfs } = await images.resolve({ name, policy: "Never" });
  return readFileSync(join(rootfs.kind === "image" ? rootfs.path : "", file), "utf8");
}

const login = { username: "somebody", password: "s3cret" };
const basic = { authorization: `Basic ${btoa(`${login.username}:${login.password}`)}` };

/** Skipped where the program is not installed: apt-get install docker-registry. */
describe.skipIf(dockerRegistryPath === undefined)("with Debian's docker-registry, a pull", () => {
  let registry: DockerRegistry;
  beforeAll(async () => {
    registry = await startDockerRegistry();
  });
  afterAll(() => registry[Symbol.asyncDispose]());

  test.each(["gzip", "zstd", "none"] as const)("unpacks layers compressed with: %s", async (compression) => {
    const image = buildImage({
      compression,
      layers: [[{ name: "a", content: "1" }], [{ name: "b", content: compression }]],
    });
    await pushImage(image, { origin: registry.origin, repository: `team/${compression}`, tag: "v1" });
    const images = open();
    const name = `${registry.host}/team/${compression}:v1`;
    const { id, pulled } = await images.resolve({ name, policy: "IfNotPresent" });
    expect({ id, pulled }).toEqual({
      id: `${registry.host}/team/${compression}@${image.digest}`,
      pulled: true,
    });
    expect(await contentOf(images, name, "b")).toBe(compression);
    expect((await images.resolve({ name, policy: "Always" })).id).toBe(id);
  });

  test.each(["oci", "docker"] as const)(
    "chooses from a multi-arch index (%s), by tag and by digest",
    async (format) => {
      const mine = buildImage({ format, layers: [[{ name: "arch", content: "amd64" }]] });
      const other = buildImage({
        format,
        layers: [[{ name: "arch", content: "arm64" }]],
        platform: { os: "linux", architecture: "arm64" },
      });
      const index = buildIndex([other, mine], format);
      await pushImage(index, { origin: registry.origin, repository: `multi-${format}`, tag: "latest" });
      const images = open();
      for (const suffix of [
        "",
        ":latest",
        `@${index.digest}`,
        `:latest@${index.digest}`,
        `@${mine.digest}`,
      ]) {
        const name = `${registry.host}/multi-${format}${suffix}`;
        const { id } = await images.resolve({ name, policy: "Always" });
        const digest = suffix === `@${mine.digest}` ? mine.digest : index.digest;
        expect(id).toBe(`${registry.host}/multi-${format}@${digest}`);
        expect(await contentOf(images, name, "arch")).toBe("amd64");
      }
    },
  );

  test("of what is not there says so", async () => {
    const images = open();
    for (const name of [`${registry.host}/nothing:v1`, `${registry.host}/nothing@sha256:${"0".repeat(64)}`]) {
      await expect(images.resolve({ name, policy: "IfNotPresent" })).rejects.toThrow(
        `cannot pull "${name}": ${registry.host} has no such image`,
      );
    }
  });

  test("logs in with a password", async () => {
    await using locked = await startDockerRegistry({ login });
    const image = buildImage({ layers: [[{ name: "a", content: "1" }]] });
    await pushImage(image, { origin: locked.origin, repository: "app", tag: "v1", headers: basic });
    const images = open();
    const request = { name: `${locked.host}/app:v1`, policy: "IfNotPresent" as const };
    await expect(images.resolve(request)).rejects.toThrow(
      "denies access: the image does not exist or needs credentials",
    );
    const wrong = { ...request, credentials: () => ({ ...login, password: "wrong" }) };
    await expect(images.resolve(wrong)).rejects.toThrow("denies access");
    expect((await images.resolve({ ...request, credentials: () => login })).pulled).toBe(true);
  });

  test("gets a signed token from a token server", async () => {
    const now = Date.now();
    const times = { notBefore: now - 3_600_000, notAfter: now + 3_600_000 };
    const authority = await createAuthority({ commonName: "tokens", ...times });
    const signer = await createServerCertificate({
      commonName: "signer",
      names: ["localhost"],
      issuer: authority,
      ...times,
    });
    const certificates = join(base, "tokens.pem");
    writeFileSync(certificates, authority.certificate);
    await using tokens = await startFakeRegistry({
      intercept(request, response) {
        const scopes = new URL(request.path, "http://x").searchParams.getAll("scope");
        const actions = request.headers.authorization === basic.authorization ? ["push", "pull"] : [];
        response.end(
          JSON.stringify({
            token: signToken({ key: signer.key, certificate: signer.certificate, scopes, actions, now }),
          }),
        );
        return true;
      },
    });
    await using locked = await startDockerRegistry({
      tokens: { realm: `${tokens.origin}/token`, service: "pillion-test", issuer: "tester", certificates },
    });
    const image = buildImage({ layers: [[{ name: "a", content: "1" }]] });
    const push = signToken({
      key: signer.key,
      certificate: signer.certificate,
      scopes: ["repository:app:x"],
      actions: ["push", "pull"],
      now,
    });
    await pushImage(image, {
      origin: locked.origin,
      repository: "app",
      tag: "v1",
      headers: { authorization: `Bearer ${push}` },
    });
    const images = open();
    const request = { name: `${locked.host}/app:v1`, policy: "IfNotPresent" as const };
    await expect(images.resolve(request)).rejects.toThrow("denies access");
    expect((await images.resolve({ ...request, credentials: () => login })).pulled).toBe(true);
  });
});

interface TokenRequest {
  readonly key: string;
  readonly certificate: string;
  readonly scopes: readonly string[];
  readonly actions: readonly string[];
  readonly now: number;
}

/** A JSON Web Token as the distribution's token specification asks for. */
function signToken({ key, certificate, scopes, actions, now }: TokenRequest): string {
  const seconds = Math.floor(now / 1_000);
  const x5c = [certificate.replaceAll(/-----[^-]+-----|\s/g, "")];
  const access = scopes.map((scope) => ({ type: "repository", name: scope.split(":")[1], actions }));
  const claims = {
    iss: "tester",
    sub: "somebody",
    aud: "pillion-test",
    exp: seconds + 300,
    nbf: seconds - 300,
    iat: seconds,
    jti: "1",
    access,
  };
  const body = [{ typ: "JWT", alg: "ES256", x5c }, claims]
    .map((part) => Buffer.from(JSON.stringify(part)).toString("base64url"))
    .join(".");
  return `${body}.${sign("sha256", Buffer.from(body), { key, dsaEncoding: "ieee-p1363" }).toString("base64url")}`;
}
