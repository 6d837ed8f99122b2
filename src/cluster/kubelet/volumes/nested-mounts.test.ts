import { expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeNestedMountPoints, nestedMountPoints } from "./nested-mounts.ts";

const mounts = (...list: [name: string, mountPath: string, subPath?: string][]) => ({
  containers: [
    {
      name: "c",
      volumeMounts: list.map(([name, mountPath, subPath]) => ({
        name,
        mountPath,
        ...(subPath === undefined ? {} : { subPath }),
      })),
    },
  ],
});

test.each<[string, ReturnType<typeof mounts>, string[]]>([
  ["a volume inside", mounts(["v", "/etc/app"], ["w", "/etc/app/keys"]), ["keys"]],
  ["a deeper one", mounts(["v", "/etc/app/"], ["w", "/etc/app/a/b"]), ["a/b"]],
  ["one inside another's", mounts(["v", "/a"], ["w", "/a/b"], ["x", "/a/b/c"]), ["b"]],
  ["none beside it", mounts(["v", "/etc/app"], ["w", "/etc/application"]), []],
  ["none for a part of the volume", mounts(["v", "/a", "sub"], ["w", "/a/b"]), []],
  ["none for another volume", mounts(["u", "/a"], ["w", "/a/b"]), []],
])("mount points of %s [V23]", (_what, spec, expected) => {
  expect(nestedMountPoints("v", spec)).toEqual(expected);
});

test("mount points are made 0755, never among the volume's own files [V23]", () => {
  const folder = mkdtempSync(join(tmpdir(), "nested-"));
  try {
    makeNestedMountPoints(folder, ["a/b", "c"]);
    for (const path of ["a", "a/b", "c"]) expect(statSync(join(folder, path)).mode & 0o7777).toBe(0o755);
    expect(() => makeNestedMountPoints(folder, ["..data/x"])).toThrow('must not start with ".."');
    expect(readdirSync(folder).sort()).toEqual(["a", "c"]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
