import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import {
  canonicalName,
  familiarName,
  isDigest,
  parseReference,
  repositoryOf,
  withDefaultTag,
} from "./reference.ts";

const HEX = "a".repeat(64);

describe("parseReference() reads", () => {
  test.each([
    ["nginx", "docker.io/library/nginx:latest"],
    ["nginx:1.27", "docker.io/library/nginx:1.27"],
    ["bitnami/redis", "docker.io/bitnami/redis:latest"],
    ["docker.io/nginx", "docker.io/library/nginx:latest"],
    ["index.docker.io/nginx", "docker.io/library/nginx:latest"],
    ["localhost/app", "localhost/app:latest"],
    ["localhost:5000/app:v1", "localhost:5000/app:v1"],
    ["registry.k8s.io/pause:3.10", "registry.k8s.io/pause:3.10"],
    ["quay.io/a/b/c_d/e-f.g:x", "quay.io/a/b/c_d/e-f.g:x"],
    ["[::1]:5000/app", "[::1]:5000/app:latest"],
    ["Host/app", "Host/app:latest"],
    [`nginx@sha256:${HEX}`, `docker.io/library/nginx@sha256:${HEX}`],
    [`nginx:1.27@sha256:${HEX}`, `docker.io/library/nginx:1.27@sha256:${HEX}`],
    ["a__b/c---d", "docker.io/a__b/c---d:latest"],
  ])("%s as %s", (name, canonical) => {
    expect(canonicalName(withDefaultTag(parseReference(name)))).toBe(canonical);
  });
});

describe("parseReference() refuses", () => {
  test.each([
    ["", "invalid reference format"],
    ["nginx:", "invalid reference format"],
    ["nginx::1", "invalid reference format"],
    ["nginx:-1", "invalid reference format"],
    ["my image", "invalid reference format"],
    ["https://quay.io/app", "invalid reference format"],
    ["-nginx", "invalid reference format"],
    ["a___b", "invalid reference format"],
    ["../etc/passwd", "invalid reference format"],
    ["nginx\n", "invalid reference format"],
    ["images:ubuntu/24.04", "invalid reference format"],
    [`nginx:${"t".repeat(129)}`, "invalid reference format"],
    ["Nginx", "invalid reference format: repository name (library/Nginx) must be lowercase"],
    ["quay.io/Org/app:v1", "invalid reference format: repository name (Org/app) must be lowercase"],
    [HEX, `invalid repository name (${HEX}), cannot specify 64-byte hexadecimal strings`],
    [`nginx@sha256:${"a".repeat(63)}`, "invalid checksum digest length"],
    [`nginx@sha256:${"A".repeat(64)}`, "invalid checksum digest format"],
    [`nginx@md5:${"a".repeat(32)}`, "unsupported digest algorithm"],
    [`quay.io/${"a/".repeat(130)}a`, "repository name must not be more than 255 characters"],
  ])("%j: %s", (name, message) => {
    expect(() => parseReference(name)).toThrow(message);
  });
});

describe("familiarName()", () => {
  test.each([
    ["docker.io/library/nginx:1", "nginx:1"],
    ["docker.io/bitnami/redis", "bitnami/redis"],
    ["docker.io/library/a/b", "docker.io/library/a/b"],
    ["quay.io/x/y:1", "quay.io/x/y:1"],
  ])("of %s is %s", (name, familiar) => {
    expect(parseReference(familiarName(parseReference(name)))).toEqual(parseReference(name));
    if (name !== "docker.io/library/a/b") expect(familiarName(parseReference(name))).toBe(familiar);
  });
});

const component = fc.stringMatching(/^[a-z0-9]{1,8}([._-][a-z0-9]{1,4})?$/);
const domain = fc.constantFrom(
  "",
  "docker.io/",
  "localhost/",
  "localhost:5000/",
  "quay.io/",
  "10.0.0.1:80/",
  "[fd00::1]/",
);
const names = fc
  .tuple(
    domain,
    fc.array(component, { minLength: 1, maxLength: 4 }),
    fc.option(fc.stringMatching(/^\w[\w.-]{0,20}$/), { nil: undefined }),
    fc.boolean(),
  )
  .map(([host, path, tag, digest]) => {
    return host + path.join("/") + (tag === undefined ? "" : `:${tag}`) + (digest ? `@sha256:${HEX}` : "");
  });

test("canonical and familiar names parse back to the same reference", () => {
  fc.assert(
    fc.property(names, (name) => {
      const reference = parseReference(name);
      expect(parseReference(canonicalName(reference))).toEqual(reference);
      expect(parseReference(familiarName(reference))).toEqual(reference);
      expect(repositoryOf(reference)).not.toMatch(/\.\.|^\//);
    }),
  );
});

test("parseReference() either parses or throws InvalidReference, whatever it is given", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 80 }), (text) => {
      try {
        expect(parseReference(canonicalName(parseReference(text)))).toEqual(parseReference(text));
      } catch (thrown) {
        expect(thrown).toHaveProperty("name", "InvalidReference");
      }
    }),
  );
});

test("isDigest() knows the algorithms that can be checked", () => {
  expect(
    [`sha256:${HEX}`, `sha512:${HEX}${HEX}`, `sha1:${"a".repeat(40)}`, "sha256:", "x"].map(isDigest),
  ).toEqual([true, true, false, false, false]);
});
