/** The image `pillion` in a real cluster: the program that runs, on next to nothing. */
import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { homeWithPod } from "./pod-home.ts";

const TEST_MS = 60_000;
const CHECKOUT = join(import.meta.dirname, "../..");

const RESTRICTED =
  "{ runAsNonRoot: true, readOnlyRootFilesystem: true, allowPrivilegeEscalation: false, capabilities: { drop: [ALL] }, seccompProfile: { type: RuntimeDefault } }";
const MOUNTS =
  "[{ name: state, mountPath: /var/lib/pillion }, { name: run, mountPath: /run/pillion }, { name: tmp, mountPath: /tmp }]";

function podOf(containers: string): string {
  return `apiVersion: v1
kind: Pod
metadata: { name: own }
spec:
  restartPolicy: Never
  automountServiceAccountToken: false
  volumes:
  - { name: state, emptyDir: {} }
  - { name: run, emptyDir: { medium: Memory } }
  - { name: tmp, emptyDir: {} }
  containers:
${containers}`;
}

/** A container that runs JavaScript, the only language there is in the image. */
function script(name: string, source: string, more = ""): string {
  return `  - { name: ${name}, image: pillion, command: [bun, -e, ${JSON.stringify(source.replaceAll("\n", " "))}]${more} }\n`;
}

/** Prints all paths but libraries, zones and the kernel's file systems, what can be written, and a time of day. */
const LOOK_AROUND = `
const { mkdirSync, readdirSync, rmdirSync } = require("node:fs");
const tries = (what) => { try { what(); return true; } catch { return false; } };
const skipped = ["/dev", "/proc", "/sys", "/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/share/zoneinfo"];
const walk = (folder) => readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
  const path = (folder === "/" ? "" : folder) + "/" + entry.name;
  if (skipped.includes(path)) return [];
  return entry.isDirectory() ? [path + "/", ...walk(path)] : [path];
});
const folders = ["/", "/etc", "/usr/local/bin", "/run/pillion", "/tmp", "/var/lib/pillion"];
console.log(JSON.stringify({
  tree: walk("/").sort(),
  libraries: ["/lib", "/lib64", "/usr/lib"].flatMap((path) => tries(() => readdirSync(path)) ? readdirSync(path, { recursive: true }) : []),
  writable: folders.filter((path) => tries(() => { mkdirSync(path + "/x"); rmdirSync(path + "/x"); })),
  tokyo: new Intl.DateTimeFormat("en", { timeZone: "Asia/Tokyo", hour: "numeric" }).format(0),
}));`;

/** Does to the image's files what a program that has been taken over would do. */
const SPOIL = `
const fs = require("node:fs");
const tries = (what) => { try { what(); return "done"; } catch (error) { return error.code; } };
console.log(JSON.stringify([
  tries(() => fs.appendFileSync("/proc/self/exe", "x")),
  tries(() => fs.appendFileSync("/usr/local/lib/pillion/pillion.js", "x")),
  tries(() => fs.renameSync("/usr/local/bin/bun", "/usr/local/bin/was-bun")),
  tries(() => fs.writeFileSync("/usr/local/bin/bun", "x")),
  tries(() => fs.chmodSync("/usr/local/bin/was-bun", 0)),
]));`;

describe("the image pillion", () => {
  test(
    "is the program that runs: found by PATH, under any tag and pull policy, without a shell and other files of this machine",
    async () => {
      const restricted = `, securityContext: ${RESTRICTED}, volumeMounts: ${MOUNTS}`;
      await using home = homeWithPod(
        podOf(
          "  - { name: version, image: pillion, imagePullPolicy: Always, args: [version] }\n" +
            '  - { name: tagged, image: "docker.io/library/pillion:v9", imagePullPolicy: Never, command: [pillion, version] }\n' +
            script("plain", LOOK_AROUND) +
            script("restricted", LOOK_AROUND, restricted),
        ),
      );
      await home.mustRun(["up", "-d", "-f", home.manifests]);
      const log = async (name: string) => (await home.mustRun(["logs", "own", "-f", "-c", name])).stdout;
      const { stdout: version } = await home.mustRun(["version"]);
      expect([await log("version"), await log("tagged")]).toEqual([version, version]);
      const found = JSON.parse(await log("restricted")) as { readonly libraries: readonly string[] };
      const program = "/usr/local/lib/pillion";
      expect(found).toMatchObject({
        tree: [
          "/etc/",
          "/etc/group",
          "/etc/hostname",
          "/etc/hosts",
          "/etc/nsswitch.conf",
          "/etc/passwd",
          "/etc/pillion/",
          "/etc/resolv.conf",
          "/etc/ssl/",
          "/etc/ssl/certs/",
          "/etc/ssl/certs/ca-certificates.crt",
          "/run/",
          "/run/pillion/",
          "/tmp/",
          "/usr/",
          "/usr/local/",
          "/usr/local/bin/",
          "/usr/local/bin/bun",
          "/usr/local/bin/pillion",
          "/usr/local/lib/",
          `${program}/`,
          `${program}/bunfig.toml`,
          `${program}/pillion.js`,
          `${program}/pillion.js.jsc`,
          "/usr/share/",
          "/var/",
          "/var/lib/",
          "/var/lib/pillion/",
        ],
        writable: ["/run/pillion", "/tmp", "/var/lib/pillion"],
        tokyo: "9 AM",
      });
      const files = found.libraries.filter((path) => path.includes(".so"));
      expect(files.filter((path) => !/(^|\/)(ld-|lib)[^/]*\.so(\.\d+)*$/.test(path))).toEqual([]);
      expect(files.length).toBeLessThan(12);
      // Without volumes, too.
      expect(JSON.parse(await log("plain"))).toMatchObject({
        tree: expect.not.arrayContaining(["/bin/"]),
        writable: expect.arrayContaining(["/run/pillion", "/tmp", "/var/lib/pillion"]),
      });
    },
    TEST_MS,
  );

  test(
    "a container that is root changes neither Bun nor the program of this machine",
    async () => {
      const bun = statSync(process.execPath);
      await using home = homeWithPod(podOf(script("main", SPOIL, ", securityContext: { runAsUser: 0 }")));
      await home.mustRun(["up", "-d", "-f", home.manifests]);
      const { stdout } = await home.mustRun(["logs", "own", "-f"]);
      expect(JSON.parse(stdout)).toEqual(["ETXTBSY", "done", "done", "done", "done"]);
      const { size, mtimeMs, mode, ino } = statSync(process.execPath);
      expect({ size, mtimeMs, mode, ino }).toEqual({
        size: bun.size,
        mtimeMs: bun.mtimeMs,
        mode: bun.mode,
        ino: bun.ino,
      });
      const roots = join(home.path, "state/default/pillion-image/roots");
      const [root = ""] = readdirSync(roots);
      const own = join(roots, root, "rootfs/usr/local");
      expect(readdirSync(join(own, "bin")).toSorted()).toEqual(["bun", "pillion"]);
      expect(statSync(join(own, "bin/bun")).size).toBe(bun.size);
      const text = readFileSync(join(own, "lib/pillion/pillion.js"), "utf8");
      expect(
        text.startsWith(
          "#!/usr/local/bin/bun --config=/usr/local/lib/pillion/bunfig.toml\n// @bun @bytecode",
        ),
      ).toBe(true);
      expect(text.includes(CHECKOUT)).toBe(false);
    },
    TEST_MS,
  );

  test(
    "what lies in the working directory does not become part of the program",
    async () => {
      const plant = `
        require("node:fs").writeFileSync("/tmp/bunfig.toml", 'preload = ["/tmp/evil.js"]');
        require("node:fs").writeFileSync("/tmp/evil.js", "console.log('preloaded')");
        require("node:fs").writeFileSync("/tmp/.env", "NODE_OPTIONS=--require=/tmp/evil.js");
        const { stdout } = Bun.spawnSync(["pillion", "version"], { cwd: "/tmp" });
        process.stdout.write(stdout);`;
      await using home = homeWithPod(podOf(script("main", plant)));
      await home.mustRun(["up", "-d", "-f", home.manifests]);
      const { stdout } = await home.mustRun(["logs", "own", "-f"]);
      expect(stdout).toMatch(/^pillion \S+\n$/);
    },
    TEST_MS,
  );
});
