import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import type { RootFs } from "../images/image.ts";
import { parentsFirst } from "./container-mounts.ts";
import { canRunContainers, openWorld, type TestWorld } from "./container.test-support.ts";
import { MNT_DETACH } from "./linux-constants.ts";
import { ContainerStartError, type Mount } from "./sandbox.ts";

function bind(source: string, target: string, more: Partial<Mount> = {}): Mount {
  return { source, target, kind: "bind", readOnly: false, ...more };
}

test("parentsFirst() orders by depth and keeps the order of the pod otherwise", () => {
  const targets = ["/a/b/c", "/x/", "/a//b", "/", "/a/../y", "/b"];
  expect(parentsFirst(targets.map((target) => bind("/s", target))).map(({ target }) => target)).toEqual([
    "/",
    "/x/",
    "/a/../y",
    "/b",
    "/a//b",
    "/a/b/c",
  ]);
});

describe.if(canRunContainers())("mounts of a container", () => {
  let world: TestWorld;
  beforeAll(() => {
    world = openWorld();
  });
  afterAll(() => world.close());

  /** An image that an attacker has made. */
  function imageWith(make: (path: string) => void): RootFs {
    const path = world.newFolder();
    for (const name of ["usr", "etc"]) mkdirSync(join(path, name));
    for (const name of ["bin", "lib", "lib64"]) symlinkSync(`usr/${name}`, join(path, name));
    make(path);
    return { kind: "image", path };
  }

  async function refusal(mount: Mount, more: { rootfs?: RootFs; others?: Mount[] } = {}): Promise<string> {
    const { rootfs = world.image, others = [] } = more;
    try {
      const { stdout } = await world.sh("echo started", { rootfs, mounts: [...others, mount] });
      return stdout.join("\n");
    } catch (error) {
      if (error instanceof ContainerStartError) return `${error.reason}: ${error.message}`;
      throw error;
    }
  }

  test("a folder is shared with the machine, a read-only one can be read only", async () => {
    const [shared, fixed] = [world.newFolder(), world.newFolder()];
    writeFileSync(join(fixed, "config"), "value\n");
    const { stdout } = await world.sh(
      "echo said > /shared/file; cat /fixed/config; (echo x > /fixed/new) 2>/dev/null || echo refused; rm -f /fixed/config 2>/dev/null || echo refused",
      { mounts: [bind(shared, "/shared"), bind(fixed, "/fixed", { readOnly: true })] },
    );
    expect(stdout).toEqual(["value", "refused", "refused"]);
    expect(readFileSync(join(shared, "file"), "utf8")).toBe("said\n");
  });

  test("read-only leaves alone what is mounted inside, unless it is to hold for all of it [V20]", async () => {
    const folder = world.newFolder();
    const inner = join(folder, "inner");
    mkdirSync(inner);
    world.launcher.call("mount", ["tmpfs", inner, "tmpfs", 0, ""]);
    try {
      const mounts = [
        bind(folder, "/some", { readOnly: true }),
        bind(folder, "/all", { readOnly: true, recursiveReadOnly: true }),
      ];
      const script =
        "for f in /some/x /some/inner/x /all/x /all/inner/y; do (echo > $f) 2>/dev/null && echo $f; done; :";
      expect((await world.sh(script, { mounts })).stdout).toEqual(["/some/inner/x"]);
    } finally {
      world.launcher.call("umount2", [inner, MNT_DETACH]);
    }
  });

  test("two containers see the same volume, and its files keep their owner [V1]", async () => {
    const volume = world.newFolder();
    const mounts = [bind(volume, "/data")];
    await world.sh("echo one > /data/f; mkdir /data/d; chmod 700 /data/d", { mounts });
    expect(
      (await world.sh("cat /data/f; stat -c '%a %u' /data/d", { mounts, rootfs: world.host })).stdout,
    ).toEqual(["one", "700 0"]);
  });

  test("missing targets are made: folders for folders, files for files", async () => {
    const folder = world.newFolder();
    writeFileSync(join(folder, "hosts"), "10.0.0.1 pod\n");
    const mounts = [
      bind(join(folder, "hosts"), "/etc/hosts"),
      bind(join(folder, "hosts"), "/new/deep/file"),
      bind(folder, "/opt/new/folder"),
    ];
    const script = "cat /etc/hosts /new/deep/file; ls /opt/new/folder; stat -c %a /opt/new /new/deep";
    expect((await world.sh(script, { mounts })).stdout).toEqual([
      "10.0.0.1 pod",
      "10.0.0.1 pod",
      "hosts",
      "755",
      "755",
    ]);
    expect(existsSync(join(world.folder, "image/new"))).toBe(false);
  });

  test("a mount inside a mount works in any order, and its target appears in the outer volume", async () => {
    const [outer, inner] = [world.newFolder(), world.newFolder()];
    writeFileSync(join(inner, "x"), "");
    const mounts = [bind(inner, "/a/b/c"), bind(outer, "/a")];
    expect((await world.sh("ls /a /a/b/c", { mounts })).stdout).toEqual(["/a:", "b", "", "/a/b/c:", "x"]);
    expect(readdirSync(join(outer, "b"))).toEqual(["c"]);
  });

  test("a tmpfs is empty, open to all, and as large as it may be", async () => {
    const mounts: Mount[] = [{ target: "/cache", kind: "tmpfs", readOnly: false, sizeLimit: 65_536 }];
    const script =
      "stat -c %a /cache; head -c 100000 /dev/zero > /cache/f 2>/dev/null || echo full; stat -c %s /cache/f";
    expect((await world.sh(script, { mounts })).stdout).toEqual(["1777", "full", "65536"]);
  });

  test("/dev/shm can be the pod's", async () => {
    const shm = world.newFolder();
    await world.sh("echo x > /dev/shm/f", { mounts: [bind(shm, "/dev/shm")] });
    expect(readdirSync(shm)).toEqual(["f"]);
  });

  describe("subPath", () => {
    test("a file or folder below the source, also through a link that stays inside", async () => {
      const volume = world.newFolder();
      mkdirSync(join(volume, "..2026"));
      writeFileSync(join(volume, "..2026/key"), "v\n");
      symlinkSync("..2026", join(volume, "..data"));
      symlinkSync("..data/key", join(volume, "key"));
      const mounts = [
        bind(volume, "/etc/key", { subPath: "key", readOnly: true }),
        bind(volume, "/d", { subPath: "..2026" }),
      ];
      expect((await world.sh("cat /etc/key; ls /d", { mounts })).stdout).toEqual(["v", "key"]);
    });

    test("a missing folder is made in the volume, with the volume's mode [V18]", async () => {
      const volume = world.newFolder();
      await world.sh("echo x > /d/f", { mounts: [bind(volume, "/d", { subPath: "a/b" })] });
      expect(readFileSync(join(volume, "a/b/f"), "utf8")).toBe("x\n");
      expect(lstatSync(join(volume, "a/b")).mode & 0o777).toBe(lstatSync(volume).mode & 0o777);
    });

    test.each([
      ["a link to the outside", (volume: string) => symlinkSync("/etc", join(volume, "s")), "s"],
      ["a link to the outside and on", (volume: string) => symlinkSync("/", join(volume, "s")), "s/etc"],
      [
        "a relative link to the outside",
        (volume: string) => symlinkSync("../../..", join(volume, "s")),
        "s/etc",
      ],
      ["dots", () => undefined, "../../etc"],
      ["an absolute path", () => undefined, "/etc"],
      [
        "a link to the outside that has yet to be made",
        (volume: string) => symlinkSync("/tmp", join(volume, "s")),
        "s/new",
      ],
      ["a file on the way", (volume: string) => writeFileSync(join(volume, "s"), ""), "s/x"],
    ])("%s is refused [V18]", async (_what, make, subPath) => {
      const volume = world.newFolder();
      make(volume);
      expect(await refusal(bind(volume, "/d", { subPath }))).toStartWith(
        `CreateContainerConfigError: failed to prepare subPath for volumeMount at "/d" of container "main": subPath "${subPath}" must be inside the volume`,
      );
    });
  });

  describe("links of the image", () => {
    test("an absolute link as target stays in the container", async () => {
      const rootfs = imageWith((path) => symlinkSync("/etc", join(path, "data")));
      const source = world.newFolder();
      const target = "/data/pillion-test-target";
      expect(
        (await world.sh("ls -d /etc/pillion-*", { rootfs, mounts: [bind(source, target)] })).stdout,
      ).toEqual(["/etc/pillion-test-target"]);
      expect(existsSync("/etc/pillion-test-target")).toBe(false);
    });

    test("a link that climbs stays in the container", async () => {
      const rootfs = imageWith((path) => symlinkSync("../../../../../../etc", join(path, "data")));
      const { stdout } = await world.sh("ls -d /etc/pillion-*", {
        rootfs,
        mounts: [bind(world.newFolder(), "/data/pillion-up")],
      });
      expect([stdout, existsSync("/etc/pillion-up")]).toEqual([["/etc/pillion-up"], false]);
    });

    test("a link into /proc leads nowhere", async () => {
      for (const fd of [3, 5, 8, 12, 16, 20, 24]) {
        const rootfs = imageWith((path) => symlinkSync(`/proc/self/fd/${fd}`, join(path, "data")));
        const text = await refusal(bind(world.newFolder(), "/data/x"), { rootfs });
        expect(text).toMatch(
          /to rootfs at "\/data\/x": (too many levels of symbolic links|no such file or directory|not a directory)/,
        );
      }
      for (const workingDir of [
        "/proc/self/fd/7",
        "/proc/self/fd/10/etc",
        "/proc/1/root",
        "/proc/self/cwd",
      ]) {
        expect(world.sh("pwd", { workingDir })).rejects.toThrow(/working directory/);
        await world.sh("pwd", { workingDir }).catch(() => undefined);
      }
      expect(world.start({ argv: ["/proc/self/fd/5/usr/bin/true"] })).rejects.toThrow(/stat \/proc/);
    });

    test("a link that leads nowhere gives way to the mount, as /etc/resolv.conf must on many machines", async () => {
      const rootfs = imageWith((path) => {
        symlinkSync("../run/systemd/resolve/stub-resolv.conf", join(path, "etc/resolv.conf"));
        symlinkSync("/not/there", join(path, "cache"));
      });
      const folder = world.newFolder();
      writeFileSync(join(folder, "resolv.conf"), "nameserver 10.96.0.10\n");
      const mounts = [bind(join(folder, "resolv.conf"), "/etc/resolv.conf"), bind(folder, "/cache/sub")];
      expect((await world.sh("cat /etc/resolv.conf; ls /cache/sub", { rootfs, mounts })).stdout).toEqual([
        "nameserver 10.96.0.10",
        "resolv.conf",
      ]);
    });

    test("folders that the image replaces by links are the container's own all the same", async () => {
      const rootfs = imageWith((path) => {
        for (const name of ["proc", "sys", "dev"]) symlinkSync("/etc", join(path, name));
      });
      expect(
        (
          await world.sh("[ -d /proc/1 ] && [ -c /dev/null ] && [ -d /sys/class ] && ls /etc | wc -l", {
            rootfs,
          })
        ).stdout,
      ).toEqual(["0"]);
    });
  });

  test("what cannot be mounted is an error that names the mount", async () => {
    const folder = world.newFolder();
    writeFileSync(join(folder, "file"), "");
    const file = join(folder, "file");
    const prefix = "StartError: unable to start container process: error mounting";
    const readOnly = bind(folder, "/ro", { readOnly: true });
    expect({
      belowFile: await refusal(bind(folder, "/etc/passwd/x")),
      folderOnFile: await refusal(bind(folder, "/etc/passwd")),
      fileOnFolder: await refusal(bind(file, "/etc")),
      inReadOnly: await refusal(bind(folder, "/ro/new"), { others: [readOnly] }),
      noSource: await refusal(bind("/no/such/source", "/x")),
      root: await refusal(bind(folder, "/")),
      proc: await refusal(bind(folder, "/proc/sys")),
      procAside: await refusal(bind(folder, "/a/../proc/../proc/x")),
      belowHostFile: await refusal(bind(folder, "/etc/passwd/x/y"), { rootfs: world.host }),
    }).toEqual({
      belowFile: `${prefix} "${folder}" to rootfs at "/etc/passwd/x": not a directory (ENOTDIR)`,
      folderOnFile: `${prefix} "${folder}" to rootfs at "/etc/passwd": not a directory (ENOTDIR)`,
      fileOnFolder: `${prefix} "${file}" to rootfs at "/etc": is a directory (EISDIR)`,
      inReadOnly: `${prefix} "${folder}" to rootfs at "/ro/new": read-only file system (EROFS)`,
      noSource: `${prefix} "/no/such/source" to rootfs at "/x": ENOENT: no such file or directory, open '/no/such/source'`,
      root: `${prefix} "${folder}" to rootfs at "/": "/" cannot be mounted because it is the root itself`,
      proc: `${prefix} "${folder}" to rootfs at "/proc/sys": "/proc/sys" cannot be mounted because it is inside /proc`,
      procAside: `${prefix} "${folder}" to rootfs at "/a/../proc/../proc/x": "/a/../proc/../proc/x" cannot be mounted because it is inside /proc`,
      belowHostFile: `${prefix} "${folder}" to rootfs at "/etc/passwd/x/y": not a directory (ENOTDIR)`,
    });
  });

  test("an error that nobody thought of is a ContainerStartError all the same", async () => {
    const refused = world.start({ argv: ["true"], workingDir: "/a\0b" });
    expect(refused).rejects.toBeInstanceOf(ContainerStartError);
    await refused.catch(() => undefined);
  });
});
