import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findInside, makeFolderInside, segmentsOf } from "./inside.ts";

let root = "";
let outside = "";

beforeEach(() => {
  const base = mkdtempSync(join(tmpdir(), "inside-"));
  root = join(base, "root");
  outside = join(base, "outside");
  mkdirSync(join(root, "a", "b"), { recursive: true });
  mkdirSync(outside);
  writeFileSync(join(outside, "secret"), "x");
});

afterEach(() => rmSync(join(root, ".."), { recursive: true, force: true }));

test("segmentsOf() refuses dots that climb and NUL", () => {
  expect(segmentsOf("/a//./b/")).toEqual(["a", "b"]);
  for (const path of ["..", "a/../b", "../../etc", "a\0b"])
    expect(() => segmentsOf(path)).toThrow(RangeError);
});

describe("findInside()", () => {
  const found = (path: string) => {
    const { path: at, stats } = findInside(root, path);
    return { at, isThere: stats !== undefined };
  };

  test("finds folders, and the place of what is missing", () => {
    expect(found("/a/b")).toEqual({ at: "a/b", isThere: true });
    expect(found("/")).toEqual({ at: "", isThere: true });
    expect(found("/a/x/y")).toEqual({ at: "a/x/y", isThere: false });
  });

  test("follows links as if the folder were the root", () => {
    symlinkSync("/a", join(root, "absolute"));
    symlinkSync("../../../a/b", join(root, "a", "climbing"));
    symlinkSync(outside, join(root, "escape"));
    expect(found("absolute/b")).toEqual({ at: "a/b", isThere: true });
    expect(found("a/climbing")).toEqual({ at: "a/b", isThere: true });
    expect(found("escape/secret").isThere).toBe(false);
  });

  test("ends with an error on a loop of links", () => {
    symlinkSync("two", join(root, "one"));
    symlinkSync("one", join(root, "two"));
    expect(() => findInside(root, "one")).toThrow("Too many levels");
  });
});

describe("makeFolderInside()", () => {
  test("makes folders with exactly the mode asked for", () => {
    makeFolderInside(root, "a/new/deep", 0o777);
    expect(statSync(join(root, "a/new/deep")).mode & 0o7777).toBe(0o777);
    makeFolderInside(root, "a/new/deep", 0o700);
    expect(statSync(join(root, "a/new/deep")).mode & 0o7777).toBe(0o777);
  });

  test("makes nothing behind a link that leads out", () => {
    symlinkSync(outside, join(root, "escape"));
    expect(() => makeFolderInside(root, "escape/made", 0o755)).toThrow();
    expect(existsSync(join(outside, "made"))).toBe(false);
  });
});
