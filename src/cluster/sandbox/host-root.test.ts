import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import type { HostCopy, RootFs } from "../images/image.ts";
import { canRunContainers, openWorld, type TestSpec, type TestWorld } from "./container.test-support.ts";

describe.if(canRunContainers())("a container with this machine's root", () => {
  let world: TestWorld;
  /** In a folder that is not masked; a project in it, and the cluster's folder in the project. */
  let place: string;
  beforeAll(() => {
    place = mkdtempSync("/var/tmp/host-root-");
    world = openWorld(join(place, "project/.pillion"));
    writeFileSync(join(place, "project/app.js"), "app\n");
    writeFileSync(join(world.stateDir, "token"), "secret\n");
  });
  afterAll(async () => {
    await world.close();
    rmSync(place, { recursive: true, force: true });
  });

  const sh = (script: string, spec: TestSpec = {}) => world.sh(script, { rootfs: world.host, ...spec });
  const withFolders = (...folders: string[]): RootFs => ({
    kind: "host",
    folders: folders.map((path) => ({ path })),
    copies: [],
  });
  const withCopies = (...copies: HostCopy[]): RootFs => ({ kind: "host", folders: [], copies });

  test("writes, deletes and renames anywhere, and the machine stays as it is", async () => {
    const before = readdirSync("/etc").sort();
    const { stdout } = await sh(`
      rm -f /etc/passwd /etc/hostname; echo changed > /etc/passwd; echo x > /usr/bin/pillion-test; mkdir /var/pillion-test
      chmod 777 /etc /usr /var; mv /etc/passwd /etc/renamed; echo x > /srv/pillion-test; echo x > /pillion-test
      for d in /etc/default /var/log /var/lib/dpkg /var/cache/apt/archives; do echo y > $d/pillion-test || echo $d; done
      cat /etc/renamed /usr/bin/pillion-test /var/log/pillion-test; ls -d /var/pillion-test /srv/pillion-test /pillion-test`);
    expect(stdout).toEqual(["changed", "x", "y", "/pillion-test", "/srv/pillion-test", "/var/pillion-test"]);
    expect(readdirSync("/etc").sort()).toEqual(before);
    expect(
      ["/usr/bin", "/var", "/srv", "", "/etc/default", "/var/log", "/var/lib/dpkg"]
        .map((at) => `${at}/pillion-test`)
        .filter(existsSync),
    ).toEqual([]);
    expect([lstatSync("/etc").mode & 0o777, lstatSync("/usr").mode & 0o777]).toEqual([0o755, 0o755]);
  });

  // rootless.test.ts gives the machine keys, which "test-key" is in.
  test("keeps secrets: the machine's password hashes and private keys [X9]", async () => {
    const { stdout } = await sh(`
      for f in /etc/shadow /etc/shadow- /etc/gshadow /etc/gshadow- /var/backups/*shadow.bak; do [ -e $f ] && cat $f 2>/dev/null; done
      grep -rls test-key /etc; echo done; grep -c root /etc/passwd`);
    const open = "/etc/ssh/ssh_host_test_key.pub";
    expect(stdout).toEqual([...(existsSync(open) ? [open] : []), "done", expect.stringMatching(/^[1-9]/)]);
  });

  test("has accounts of its own, in place of the secrets that are hidden", async () => {
    const script =
      "echo 'new:x:4242:4242::/:/bin/sh' >> /etc/passwd; printf 'new:*:::::::\\n' > /etc/shadow.new && mv /etc/shadow.new /etc/shadow && cat /etc/shadow";
    expect((await sh(script)).stdout).toEqual(["new:*:::::::"]);
  });

  test("shows a folder of keys that the image map names", async () => {
    const folder = "/etc/letsencrypt";
    if (!existsSync(folder) || world.ids.isUserNamespace) return;
    const { stdout } = await sh(`cat ${folder}/live/key`, { rootfs: withFolders(folder) });
    expect(stdout).toEqual(["test-key"]);
  });

  test("starts with the modes of the machine's folders", async () => {
    const folders = ["/etc", "/usr", "/var", "/var/tmp", "/srv"];
    const { stdout } = await sh(`stat -c %a ${folders.join(" ")} /tmp /root /run /run/lock`);
    const modes = folders.map((folder) => (lstatSync(folder).mode & 0o7777).toString(8));
    expect(stdout).toEqual([...modes, "1777", "700", "755", "1777"]);
  });

  // rootless.test.ts mounts a copy of /usr/share there, and other file systems elsewhere in /var and /etc.
  const submount = process.env["PILLION_TEST_SUBMOUNT"];
  test.if(submount !== undefined)(
    "shows the file systems of this machine that are mounted below",
    async () => {
      const script = `[ -d ${submount}/common-licenses ] && echo there; (echo x > ${submount}/new) 2>/dev/null && echo written; ls /var/spool/socket 2>/dev/null; cat /etc/hosts | wc -l`;
      const lines = readFileSync("/etc/hosts", "utf8").split("\n").length - 1;
      const expected = world.ids.isUserNamespace ? ["there"] : ["there", "written"];
      expect((await sh(script)).stdout).toEqual([...expected, String(lines)]);
      expect(existsSync(`${submount}/new`)).toBe(false);
    },
  );

  test("runs this machine's programs", async () => {
    expect((await sh("grep -c root: /etc/passwd; date +%Y | wc -c; ls /bin/sh")).stdout).toEqual([
      "1",
      "5",
      "/bin/sh",
    ]);
  });

  test("finds private folders empty, and the cluster's folder, wherever it is", async () => {
    writeFileSync(join(world.folder, "in-tmp"), "x");
    const { stdout } = await sh(
      `ls -A /home /root /mnt /media /tmp | grep -v '^$'; cat ${place}/project/app.js; ls -A ${world.stateDir}; echo done`,
    );
    expect(stdout).toEqual(["/home:", "/media:", "/mnt:", "/root:", "/tmp:", "app", "done"]);
  });

  describe("folders of the image map", () => {
    test("appear at their path, also in a private folder; what is written to them is thrown away", async () => {
      const project = world.newFolder();
      mkdirSync(join(project, "src"));
      writeFileSync(join(project, "src/app.js"), "v1\n");
      const { stdout } = await sh(
        "cat src/app.js; echo v2 > src/app.js; echo x > new; cat src/app.js; ls; ls -A /tmp",
        {
          rootfs: withFolders(project),
          workingDir: project,
        },
      );
      expect(stdout).toEqual(["v1", "v2", "new", "src", project.split("/")[2] ?? ""]);
      expect([readFileSync(join(project, "src/app.js"), "utf8"), readdirSync(project)]).toEqual([
        "v1\n",
        ["src"],
      ]);
    });

    test("do not show the cluster's folder inside them", async () => {
      const { stdout } = await sh("ls -A; ls -A .pillion; echo x > .pillion/y; ls .pillion", {
        rootfs: withFolders(join(place, "project")),
        workingDir: join(place, "project"),
      });
      expect(stdout).toEqual([".pillion", "app.js", "y"]);
      expect(readdirSync(world.stateDir)).not.toContain("y");
    });

    test("may be named by a link, inside each other and twice", async () => {
      const real = world.newFolder();
      mkdirSync(join(real, "inner"));
      writeFileSync(join(real, "inner/f"), "x\n");
      const link = join(place, "link");
      symlinkSync(real, link);
      const rootfs = withFolders(join(real, "inner"), link, real, real);
      const { stdout } = await sh(
        `cat ${link}/inner/f ${real}/inner/f; echo y > ${real}/inner/f; cat ${real}/inner/f`,
        { rootfs },
      );
      expect(stdout).toEqual(["x", "x", "y"]);
    });

    test.each([
      ["/no/such/folder", "it is not a folder of this machine"],
      ["/etc/passwd", "it is not a folder of this machine"],
      ["/", "name a folder below"],
      ["/proc/self", "name a folder below"],
    ])("%s is refused", async (path, why) => {
      const refused = sh("true", { rootfs: withFolders(path) });
      expect(refused).rejects.toThrow(why);
      await refused.catch(() => undefined);
    });
  });

  describe("copies of the image map", () => {
    let files: string;
    beforeAll(() => {
      files = world.newFolder();
      writeFileSync(join(files, "default.conf"), "server {}\n");
      writeFileSync(join(files, "run.sh"), "#!/bin/sh\necho ran\n");
      chmodSync(join(files, "run.sh"), 0o755);
      mkdirSync(join(files, "site/css"), { recursive: true });
      writeFileSync(join(files, "site/css/a.css"), "a\n");
      chmodSync(join(files, "site/css"), 0o750);
      symlinkSync("css/a.css", join(files, "site/link"));
    });

    test("a file goes into a folder, becomes a file, or keeps its mode as a program", async () => {
      const before = readdirSync("/etc").sort();
      const rootfs = withCopies(
        { from: join(files, "default.conf"), to: "/etc/pillion.d/" },
        { from: join(files, "default.conf"), to: "/etc/pillion.conf" },
        { from: join(files, "default.conf"), to: "/etc/profile.d" },
        { from: join(files, "run.sh"), to: "/usr/local/bin/run-it" },
        { from: join(files, "default.conf"), to: "/var/run/pillion/x" },
        { from: join(files, "default.conf"), to: "/home/me/x" },
        { from: join(files, "default.conf"), to: "/top" },
      );
      const { stdout } = await sh(
        "cat /etc/pillion.d/default.conf /etc/pillion.conf /etc/profile.d/default.conf; run-it; cat /run/pillion/x /home/me/x /top; stat -c '%a %u' /etc /etc/pillion.d /usr/local",
        { rootfs },
      );
      const line = "server {}";
      expect(stdout).toEqual([line, line, line, "ran", line, line, line, "755 0", "755 0", "755 0"]);
      expect(readdirSync("/etc").sort()).toEqual(before);
      expect([existsSync("/run/pillion"), existsSync("/usr/local/bin/run-it"), existsSync("/top")]).toEqual([
        false,
        false,
        false,
      ]);
    });

    test("a folder is merged into the one that is there", async () => {
      const rootfs = withCopies({ from: join(files, "site"), to: "/usr/share" });
      const { stdout } = await sh(
        "cat /usr/share/link; stat -c %a /usr/share/css; [ $(ls /usr/share | wc -l) -gt 3 ] && echo merged",
        { rootfs },
      );
      expect(stdout).toEqual(["a", "750", "merged"]);
      expect(existsSync("/usr/share/link")).toBe(false);
    });

    test("a project is copied without the cluster's folder in it", async () => {
      const rootfs = withCopies({ from: join(place, "project"), to: "/app" });
      expect((await sh("ls -A /app", { rootfs })).stdout).toEqual(["app.js"]);
    });

    test("users come from a copied /etc/passwd", async () => {
      writeFileSync(join(files, "passwd"), "root:x:0:0::/elsewhere:/bin/sh\n");
      const rootfs = withCopies({ from: join(files, "passwd"), to: "/etc/passwd" });
      expect((await sh("echo $HOME", { rootfs })).stdout).toEqual(["/elsewhere"]);
    });

    test("a source that is not there is an error that names the copy", async () => {
      const refused = sh("true", { rootfs: withCopies({ from: join(files, "gone"), to: "/etc/" }) });
      expect(refused).rejects.toThrow(`cannot copy "${files}/gone" of the image map to "/etc/": `);
      await refused.catch(() => undefined);
    });
  });
});
