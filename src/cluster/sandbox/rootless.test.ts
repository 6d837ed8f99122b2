/** Repeats the tests that need an engine's power the way an ordinary user gets it. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chownSync, mkdirSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { kernelCgroupFiles } from "./cgroups/cgroup-files.ts";
import { cgroupWays } from "./cgroups/cgroup-ways.test-support.ts";

const OUTSIDER = 65_534;
/** unshare(1) waits until the maps are written, then becomes the test run. */
const FILES = [
  "container",
  "container-attach",
  "container-cgroups",
  "container-exec",
  "container-exec-faults",
  "container-mounts",
  "container-seccomp",
  "container-security",
  "host-root",
  "launcher",
  "log-pump",
].map((name) => join(import.meta.dir, `${name}.test.ts`));
const BUN_TEST = [process.execPath, "test", ...FILES];
const isRoot = process.getuid?.() === 0;
const isInside = process.env["PILLION_TEST_ROOTLESS"] !== undefined;

/** As an ordinary user even when root runs the tests, if that user may read them. */
function asOutsider(): readonly string[] {
  if (!isRoot) return [];
  const command = ["setpriv", `--reuid=${OUTSIDER}`, `--regid=${OUTSIDER}`, "--clear-groups"];
  const probe = Bun.spawnSync([
    ...command,
    process.execPath,
    "-e",
    `require("fs").readFileSync(${JSON.stringify(import.meta.path)})`,
  ]);
  return probe.exitCode === 0 ? command : [];
}

function testEnv(): Record<string, string> {
  const { PATH = "" } = process.env;
  return { PATH, HOME: "/tmp", PILLION_TEST_ROOTLESS: "1" };
}

describe.skipIf(isInside)("an engine without root", () => {
  test("passes the tests of containers with a single id", () => {
    const run = Bun.spawnSync(
      [...asOutsider(), "unshare", "--user", "--map-root-user", "--mount", ...BUN_TEST],
      {
        env: testEnv(),
        stdio: ["ignore", "pipe", "pipe"],
      },
    );
    expect(failures(run.stderr)).toEqual([]);
    expect(run.exitCode).toBe(0);
  }, 60_000);

  // Writing a range takes root or newuidmap; the test of the tier needs the range only.
  test.skipIf(!isRoot)(
    "passes the tests of containers with a range of ids",
    async () => {
      const wait = 'read -r go && exec unshare --mount "$@"';
      const child = Bun.spawn([...asOutsider(), "unshare", "--user", "sh", "-c", wait, "sh", ...BUN_TEST], {
        env: testEnv(),
        stdio: ["pipe", "ignore", "pipe"],
      });
      await isInUserNamespace(child.pid);
      const owner = asOutsider().length > 0 ? OUTSIDER : 0;
      writeFileSync(`/proc/${child.pid}/uid_map`, `0 ${owner} 1\n1 100000 65535\n`);
      writeFileSync(`/proc/${child.pid}/gid_map`, `0 ${owner} 1\n1 100000 65535\n`);
      void child.stdin.write("go\n");
      await child.stdin.end();
      const stderr = await child.stderr.bytes();
      expect(failures(stderr)).toEqual([]);
      expect(await child.exited).toBe(0);
    },
    60_000,
  );
});

/** As systemd does for `Delegate=yes`; a process gets into it only from within. */
describe.skipIf(isInside || !isRoot)("an ordinary user with a control group of their own", () => {
  const { bare } = cgroupWays(kernelCgroupFiles());
  if (bare?.kind !== "cgroup-v2") {
    test.skip("no control groups of version 2 can be made here", () => {});
    return;
  }
  const folder = `${bare.parent}/pillion-delegated-${process.pid}`;
  beforeAll(() => {
    const owner = asOutsider().length > 0 ? OUTSIDER : 0;
    for (const path of [folder, `${folder}/tests`]) {
      mkdirSync(path);
      for (const file of ["", "/cgroup.procs", "/cgroup.subtree_control"])
        chownSync(`${path}${file}`, owner, owner);
    }
  });
  afterAll(() => {
    rmdirSync(`${folder}/tests`);
    rmdirSync(folder);
  });

  test("shows containers their groups", () => {
    const enter = 'echo $$ > "$0" && exec "$@"';
    const asUser = [...asOutsider(), "unshare", "--user", "--map-root-user", "--mount"];
    const cgroupsTest = [process.execPath, "test", join(import.meta.dir, "container-cgroups.test.ts")];
    const run = Bun.spawnSync(
      ["sh", "-c", enter, `${folder}/tests/cgroup.procs`, ...asUser, ...cgroupsTest],
      { env: { ...testEnv(), PILLION_TEST_DELEGATED: folder }, stdio: ["ignore", "pipe", "pipe"] },
    );
    expect(failures(run.stderr)).toEqual([]);
    expect(run.exitCode).toBe(0);
  }, 60_000);
});

/** Where Docker runs, /var and /etc are full of mounts; a user namespace may not uncover what they cover. */
describe.skipIf(isInside || !isRoot)("a machine with file systems mounted below its folders", () => {
  const mounts = [
    "mount --bind /usr/share /var/opt",
    "mount -t tmpfs t /var/spool && touch /var/spool/socket",
    "mount --bind /etc/hosts /etc/hosts",
  ].join(" && ");
  const below = ["unshare", "--mount", "sh", "-c", `${mounts} && exec "$@"`, "sh"];
  const hostRootTest = [process.execPath, "test", join(import.meta.dir, "host-root.test.ts")];
  test.each([
    ["root", hostRootTest],
    [
      "an ordinary user",
      [...asOutsider(), "unshare", "--user", "--map-root-user", "--mount", ...hostRootTest],
    ],
  ])(
    "passes the tests of host roots as %s",
    (_who, command) => {
      const env = { ...testEnv(), PILLION_TEST_SUBMOUNT: "/var/opt" };
      const run = Bun.spawnSync([...below, ...command], { env, stdio: ["ignore", "pipe", "pipe"] });
      expect(failures(run.stderr)).toEqual([]);
      expect(run.exitCode).toBe(0);
    },
    60_000,
  );
});

/** As servers have them. An overlay over an overlay over an overlay is more than the kernel allows: then /etc is shown as it is. */
describe.skipIf(isInside || !isRoot)("a machine with keys in /etc", () => {
  const keys = [
    "ssh/ssh_host_test_key",
    "ssl/private/test.key",
    "letsencrypt/live/key",
    "wireguard/wg0.conf",
    "krb5.keytab",
  ];
  const overlay = (layer: string) =>
    `mkdir -p /mnt/${layer}/upper /mnt/${layer}/work && mount -t overlay -o lowerdir=/etc,upperdir=/mnt/${layer}/upper,workdir=/mnt/${layer}/work o /etc`;
  const make = keys.map(
    (key) => `mkdir -p $(dirname /etc/${key}) && echo test-key > /etc/${key} && chmod 600 /etc/${key}`,
  );
  const server = [
    "mount -t tmpfs t /mnt",
    overlay("first"),
    ...make,
    "cp /etc/ssh/ssh_host_test_key /etc/ssh/ssh_host_test_key.pub && chmod 644 /etc/ssh/*.pub",
    "echo 'root:test-hash:1::::::' > /etc/shadow",
  ];
  const hostRootTest = [process.execPath, "test", join(import.meta.dir, "host-root.test.ts")];
  test.each([
    ["root", server, hostRootTest],
    [
      "root, when /etc cannot be overlaid",
      [...server, overlay("second")],
      [...hostRootTest, "-t", "keeps secrets"],
    ],
    [
      "an ordinary user",
      server,
      [...asOutsider(), "unshare", "--user", "--map-root-user", "--mount", ...hostRootTest],
    ],
  ])(
    "keeps them from containers of %s",
    (_who, setup, command) => {
      const script = `${setup.join(" && ")} && exec "$@"`;
      const run = Bun.spawnSync(["unshare", "--mount", "sh", "-c", script, "sh", ...command], {
        env: testEnv(),
        stdio: ["ignore", "pipe", "pipe"],
      });
      expect(failures(run.stderr)).toEqual([]);
      expect(run.exitCode).toBe(0);
    },
    60_000,
  );
});

async function isInUserNamespace(pid: number): Promise<void> {
  const map = Bun.file(`/proc/${pid}/uid_map`);
  // Empty until somebody writes it; that of the machine is not.
  while ((await map.text()).trim() !== "") await Bun.sleep(1);
}

/** What `bun test` printed about tests that failed, and the whole of it when there was no test. */
function failures(stderr: Uint8Array): readonly string[] {
  const text = new TextDecoder().decode(stderr);
  if (!/^ *[1-9]\d* pass$/m.test(text) || /^ *[1-9]\d* fail$/m.test(text)) return text.split("\n");
  return [];
}
