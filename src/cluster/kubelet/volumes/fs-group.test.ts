import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { chmodSync, lstatSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { writeVolumeAtomically } from "./atomic-writer.ts";
import { applyFsGroup, groupMode } from "./fs-group.ts";

/** A group that this process may give files to: any as root, its own otherwise. */
const GROUP = process.geteuid?.() === 0 ? 4321 : (process.getegid?.() ?? 0);

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "fs-group-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** `mode group`, of the entry itself. */
function shown(path: string): string {
  const { mode, gid } = lstatSync(join(folder, path));
  return `${(mode & 0o7777).toString(8)} ${gid === GROUP ? "group" : gid}`;
}

function make(path: string, mode: number): void {
  writeFileSync(join(folder, path), "");
  chmodSync(join(folder, path), mode);
}

describe("applyFsGroup()", () => {
  test("adds to modes what the group needs, all the way down [V22]", async () => {
    mkdirSync(join(folder, "a/b"), { recursive: true });
    make("a/b/secret", 0o400);
    make("a/run", 0o755);
    chmodSync(folder, 0o777);
    expect(await applyFsGroup(folder, { group: GROUP, readOnly: false })).toEqual({ entries: 5 });
    expect(["", "a", "a/b", "a/b/secret", "a/run"].map(shown)).toEqual([
      "2777 group",
      "2775 group",
      "2775 group",
      "660 group",
      "775 group",
    ]);
  });

  test("lets the group only read a volume that is read-only [V22]", async () => {
    mkdirSync(join(folder, "a"), { mode: 0o700 });
    make("a/f", 0o400);
    await applyFsGroup(folder, { group: GROUP, readOnly: true });
    expect(["a", "a/f"].map(shown)).toEqual(["2750 group", "440 group"]);
  });

  test("never follows a symlink, neither to a file nor to a folder [V22]", async () => {
    const outside = mkdtempSync(join(tmpdir(), "fs-group-outside-"));
    try {
      writeFileSync(join(outside, "file"), "", { mode: 0o600 });
      chmodSync(outside, 0o700);
      symlinkSync(outside, join(folder, "folder"));
      symlinkSync(join(outside, "file"), join(folder, "file"));
      await applyFsGroup(folder, { group: GROUP, readOnly: false });
      expect(lstatSync(outside).mode & 0o7777).toBe(0o700);
      expect(lstatSync(join(outside, "file")).mode & 0o7777).toBe(0o600);
      expect(lstatSync(join(folder, "file")).gid).toBe(GROUP);
    } finally {
      rmSync(outside, { recursive: true });
    }
  });

  test("OnRootMismatch leaves a volume alone whose root fits, and changes all of any other [V22]", async () => {
    make("f", 0o600);
    const wish = { group: GROUP, readOnly: false, policy: "OnRootMismatch" };
    chmodSync(folder, 0o700);
    expect((await applyFsGroup(folder, wish)).entries).toBe(2);
    make("later", 0o600);
    expect((await applyFsGroup(folder, wish)).entries).toBe(0);
    expect(shown("later")).not.toBe("660 group");
    chmodSync(folder, 0o770);
    expect((await applyFsGroup(folder, wish)).entries).toBe(3);
    expect(shown("later")).toBe("660 group");
  });

  test("is bounded by depth, not by the number of folders", async () => {
    for (let index = 0; index < 2000; index++) mkdirSync(join(folder, `d${index}`));
    expect((await applyFsGroup(folder, { group: GROUP, readOnly: false })).entries).toBe(2001);
    mkdirSync(join(folder, ...Array.from({ length: 300 }, () => "x")), { recursive: true });
    const { failure } = await applyFsGroup(folder, { group: GROUP, readOnly: false });
    expect(failure).toBe("folders are nested more than 256 deep");
  });

  test("says what it could not do, and goes on", async () => {
    make("f", 0o600);
    const { failure } = await applyFsGroup(folder, { group: 2 ** 32 - 2, readOnly: false });
    // As root every number is a group.
    if (process.geteuid?.() === 0) expect(failure).toBeUndefined();
    else expect(failure).toContain("EPERM");
  });
});

test("files that we write belong to the group from the start, and are only for reading [V22]", () => {
  const payload = new Map([["a/f", { data: Buffer.from("x"), mode: 0o400 }]]);
  writeVolumeAtomically(folder, payload, { now: 0, group: GROUP });
  expect(["", "..data/a", "..data/a/f"].map(shown)).toEqual(["2750 group", "2755 group", "440 group"]);
  expect(writeVolumeAtomically(folder, payload, { now: 0, group: GROUP })).toBe(false);
});

test("groupMode() is 0660 and 02770, read-only 0440 and 02550 [V22]", () => {
  const modes = [
    groupMode(false, false),
    groupMode(true, false),
    groupMode(false, true),
    groupMode(true, true),
  ];
  expect(modes).toEqual([0o660, 0o2770, 0o440, 0o2550]);
});
