/** Asked from inside: a container cannot harm the machine, whichever root it has. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { canRunContainers, openWorld, type TestSpec, type TestWorld } from "./container.test-support.ts";

const DEFAULT_CAPABILITIES = "00000000a80425fb";
const NONE = "0000000000000000";
const NET_BIND_SERVICE = "0000000000000400";

describe.if(canRunContainers())("a container", () => {
  let world: TestWorld;
  beforeAll(() => {
    world = openWorld();
  });
  afterAll(() => world.close());

  describe.each(["image", "host"] as const)("with the root of %s", (kind) => {
    const sh = (script: string, spec: TestSpec = {}) => world.sh(script, { rootfs: world[kind], ...spec });

    async function capabilities(spec: TestSpec): Promise<readonly string[]> {
      const { stdout } = await sh("grep -E '^(Cap|NoNewPrivs)' /proc/self/status", spec);
      return stdout.map((line) => line.split(/\s+/)[1] ?? "");
    }

    test("cannot write what steers the kernel [X9]", async () => {
      const files = [
        "/proc/sys/kernel/hostname",
        "/proc/sys/kernel/core_pattern",
        "/proc/sys/vm/drop_caches",
        "/proc/sysrq-trigger",
        "/proc/irq/default_smp_affinity",
        "/sys/kernel/mm/transparent_hugepage/enabled",
        "/sys/class/net/lo/mtu",
        "/sys/power/state",
      ];
      const { stdout } = await sh(
        `for f in ${files.join(" ")}; do [ -e $f ] || continue; (echo 1 > $f) 2>/dev/null && echo "WROTE $f"; done; echo done`,
      );
      expect(stdout).toEqual(["done"]);
    });

    test("cannot read what tells about the machine [X9]", async () => {
      const files =
        "/proc/kcore /proc/keys /proc/timer_list /proc/sched_debug /proc/latency_stats /proc/interrupts";
      const folders = "/proc/acpi /proc/scsi /proc/asound /sys/firmware /sys/fs/cgroup /sys/kernel/debug";
      const { stdout } = await sh(`
        for f in ${files}; do [ -e $f ] && head -c 1 $f 2>/dev/null | wc -c; done | sort -u
        for d in ${folders}; do [ -d $d ] && ls -A $d 2>/dev/null; done
        echo done`);
      expect(stdout).toEqual(["0", "done"]);
    });

    test("sees its own processes, network interfaces and host name only", async () => {
      const { stdout } = await sh(
        "ls -d /proc/[0-9]* | head -1; ls /sys/class/net; wc -l < /proc/net/dev; hostname",
      );
      expect(stdout).toEqual(["/proc/1", "lo", "3", "pod"]);
    });

    test("cannot use a device node that it makes, wherever it makes it", async () => {
      const { stdout } = await sh(
        `
        for d in / /tmp /dev /dev/shm /etc /data /volume; do
          [ -d $d ] || continue
          mknod $d/disk b 254 0 2>/dev/null; mknod $d/mem c 1 1 2>/dev/null
          head -c 1 $d/disk 2>/dev/null && echo "READ $d/disk"
          head -c 1 $d/mem 2>/dev/null && echo "READ $d/mem"
        done; echo done`,
        {
          mounts: [
            { source: world.newFolder(), target: "/volume", kind: "bind", readOnly: false },
            { target: "/data", kind: "tmpfs", readOnly: false },
          ],
        },
      );
      expect(stdout).toEqual(["done"]);
    });

    test("changes the mode and owner of its own devices only", async () => {
      const before = statSync("/dev/null");
      await sh(
        "chmod 000 /dev/null /dev/zero; chown 1:1 /dev/null; touch /dev/null; rm -f /dev/zero /dev/full",
      );
      const after = statSync("/dev/null");
      expect([after.mode, after.uid, after.mtimeMs]).toEqual([before.mode, before.uid, before.mtimeMs]);
      expect(existsSync("/dev/full")).toBe(true);
    });

    test("may write to the devices that every program may use", async () => {
      const { stdout } = await sh(
        "echo x > /dev/null && head -c 3 /dev/zero | wc -c; head -c 3 /dev/urandom | wc -c",
      );
      expect(stdout).toEqual(["3", "3"]);
    });

    test("goes first when memory runs out, unless it is said otherwise [G6]", async () => {
      expect((await sh("cat /proc/self/oom_score_adj")).stdout).toEqual(["1000"]);
      expect((await sh("cat /proc/self/oom_score_adj", { oomScoreAdj: 500 })).stdout).toEqual(["500"]);
      expect(readFileSync("/proc/self/oom_score_adj", "utf8")).not.toBe("1000\n");
    });

    test("cannot mount, load modules, set the clock or leave its root", async () => {
      const { stdout } = await sh(`
        mount -t tmpfs t /tmp 2>/dev/null && echo MOUNTED
        mount -o remount,rw /proc/sys 2>/dev/null && echo REMOUNTED
        umount /proc/sys 2>/dev/null && echo UNMOUNTED
        unshare -n true 2>/dev/null && echo UNSHARED
        date -s @0 >/dev/null 2>&1 && echo CLOCK
        hostname other 2>/dev/null && echo HOSTNAME
        cd /proc/1/root/../../.. && pwd -P
        nsenter -t 1 -m true 2>/dev/null && echo ENTERED
        echo done`);
      expect(stdout).toEqual(["/", "done"]);
    });

    test("gains nothing from a user namespace of its own", async () => {
      const inside = `
        umount /proc/sys && echo UNCOVERED; umount -l /proc && echo DETACHED; umount /dev/null && echo DEVICE
        mount -o remount,bind,rw /proc/sys && echo REMOUNTED; mount -o remount,bind,dev / && echo DEVICES
        mkdir -p /tmp/p; mount -t proc p /tmp/p && echo PROC; mount -t sysfs s /tmp/p && echo 1 > /tmp/p/class/net/lo/mtu && echo SYS
        echo 1 > /proc/sys/vm/drop_caches && echo WROTE; mknod /tmp/d c 1 1 && echo NODE; echo tried`;
      const { stdout } = await sh(
        `unshare --user --map-root-user --mount --pid --net --fork sh -c '${inside}' 2>/dev/null`,
      );
      expect(stdout).toEqual(["tried"]);
    });

    test("has the default capabilities as root, bounded for good [X6]", async () => {
      expect(await capabilities({})).toEqual([
        NONE,
        DEFAULT_CAPABILITIES,
        DEFAULT_CAPABILITIES,
        DEFAULT_CAPABILITIES,
        NONE,
        "0",
      ]);
    });

    test("has what is left after drop ALL and add, and keeps no_new_privs [X6, X8]", async () => {
      const spec = { capabilities: { add: ["NET_BIND_SERVICE"], drop: ["ALL"] }, noNewPrivileges: true };
      expect(await capabilities(spec)).toEqual([
        NONE,
        NET_BIND_SERVICE,
        NET_BIND_SERVICE,
        NET_BIND_SERVICE,
        NONE,
        "1",
      ]);
    });

    test("as another user has no effective capabilities, and the ids it was given [X2, X3, X6]", async () => {
      if (!world.ids.isUid(101)) return;
      const user = { user: "101", group: "102", supplementalGroups: [2000, 3000] };
      expect(await capabilities({ user })).toEqual([NONE, NONE, NONE, DEFAULT_CAPABILITIES, NONE, "0"]);
      const { stdout } = await sh("id -u; id -g; id -G", { user });
      expect(stdout).toEqual(["101", "102", expect.stringMatching(/^102 (103 )?2000 3000$/)]);
      const strict = await sh("id -G", { user: { ...user, supplementalGroupsPolicy: "Strict" } });
      expect(strict.stdout).toEqual(["102 2000 3000"]);
    });

    test("with a read-only root writes to its volumes, /dev/shm and nowhere else [X5]", async () => {
      const { stdout } = await sh(
        `
        for d in / /etc /usr /var /tmp /run /home /root /data /dev /dev/shm /volume; do
          [ -d $d ] || continue
          (echo x > $d/written) 2>/dev/null && echo $d
        done; pwd; echo done`,
        {
          readOnlyRootFilesystem: true,
          workingDir: "/made/for/it",
          mounts: [
            { source: world.newFolder(), target: "/volume", kind: "bind", readOnly: false },
            { target: "/data", kind: "tmpfs", readOnly: false },
          ],
        },
      );
      expect(stdout).toEqual(["/data", "/dev", "/dev/shm", "/volume", "/made/for/it", "done"]);
    });

    test("with a read-only root starts where files and folders that it mounts have to be made first [X5]", async () => {
      const folder = world.newFolder();
      for (const name of ["hosts", "log"]) writeFileSync(join(folder, name), `${name}\n`);
      chmodSync(folder, 0o777);
      chmodSync(join(folder, "log"), 0o666);
      const file = (name: string, target: string) => {
        return { source: join(folder, name), target, kind: "bind", readOnly: false } as const;
      };
      const ids = world.ids.isUid(101) ? ["0", "101"] : ["0"];
      for (const user of ids) {
        const { stdout } = await sh(
          `
          cat /etc/made-hosts; echo ended > /dev/termination-log; echo ended > /made/deep/log; cat /made/deep/log; pwd
          for f in /made/new /made/deep/new /etc/new /made/work/new; do (echo x > $f) 2>/dev/null && echo $f; done; echo done`,
          {
            readOnlyRootFilesystem: true,
            user: { user, supplementalGroups: [] },
            workingDir: "/made/work",
            mounts: [
              file("hosts", "/etc/made-hosts"),
              file("log", "/dev/termination-log"),
              file("log", "/made/deep/log"),
              { source: folder, target: "/made/folder", kind: "bind", readOnly: false },
            ],
          },
        );
        expect(stdout).toEqual(["hosts", "ended", "/made/work", "done"]);
      }
    });

    test("does not see the cluster's folder or the machine's home folders", async () => {
      mkdirSync(world.stateDir, { recursive: true });
      writeFileSync(join(world.stateDir, "token"), "secret");
      const { stdout } = await sh(
        `ls -A /home /root /mnt /media /run/user ${world.stateDir} 2>/dev/null; ls /run | head -3; echo done`,
      );
      const lines =
        kind === "host" ? ["/home:", "", "/media:", "", "/mnt:", "", "/root:", "lock", "done"] : ["done"];
      expect(stdout).toEqual(lines);
    });

    test("is refused, not weakened, where the machine lacks the user it asks for", async () => {
      if (world.ids.isUid(101)) return;
      const user = { user: "101", supplementalGroups: [] };
      const refused = sh("id -u", { user });
      expect(refused).rejects.toThrow(
        /^cannot run as user 101: the cluster runs without root .* \/etc\/subuid .* as root/,
      );
      await refused.catch(() => undefined);
      const group = sh("id -u", { user: { user: "0", supplementalGroups: [2000] } });
      expect(group).rejects.toThrow("cannot run as group 2000");
      await group.catch(() => undefined);
    });

    test("that is privileged has every capability of the engine, devices and an open /proc [X7]", async () => {
      const { stdout } = await sh(
        "grep CapBnd /proc/self/status; grep -c ' /proc/sys ' /proc/self/mountinfo; ls -A /dev | wc -l",
        {
          privileged: true,
        },
      );
      const [bounding = "", masks, devices] = stdout;
      expect(BigInt(`0x${bounding.split(/\s+/)[1]}`) & (1n << 21n)).not.toBe(0n);
      expect([masks, Number(devices) > 20]).toEqual(["0", true]);
    });
  });
});
