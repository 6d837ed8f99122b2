// `npm test`: installs what the tests need from Debian (as root), runs everything, and prints one closing line.
// As root the sandbox and end-to-end tests run a second time as an ordinary user.
import { spawnSync } from "node:child_process";
import { accessSync, constants, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const bun = join(dirname(createRequire(import.meta.url).resolve("bun/package.json")), "bin/bun.exe");
const isRoot = process.getuid?.() === 0;
const soak = process.argv.includes("--soak");
const NOBODY = 65_534;
/** A test that takes longer hangs: none is about speed, and the machine may be busy with something else. */
const HANGS_MS = 60_000;

/** Debian package -> a program it brings, and the tests that want it. */
const PACKAGES = {
  "nginx-light": ["nginx", "examples/access-log"],
  "docker-registry": ["docker-registry", "pulling images from a registry"],
  zstd: ["zstd", "unpacking layers that other programs have compressed"],
  logrotate: ["logrotate", "log files that are rotated while they are read"],
  rsyslog: ["rsyslogd", "delivery by syslog"],
  "rsyslog-gnutls": ["rsyslog/lmnsd_gtls.so", "delivery by syslog over TLS"],
  wget: ["wget", "the test of the chart that `helm create` writes"],
  nftables: ["nft", "Services by the kernel, and the way out of pods"],
  uidmap: ["newuidmap", "rootless pods whose containers run as several users"],
};

/** A program on PATH or where administrators' programs are, or with "/" in its name a part of one below /usr/lib. */
function findProgram(name) {
  const isPart = name.includes("/");
  const folders = isPart
    ? readdirSync("/usr/lib").map((folder) => join("/usr/lib", folder))
    : [...(process.env.PATH ?? "").split(":"), "/usr/sbin", "/sbin", "/usr/local/sbin"];
  return folders.some((folder) => {
    try {
      accessSync(join(folder, name), isPart ? constants.R_OK : constants.X_OK);
      return folder !== "";
    } catch {
      return false;
    }
  });
}

function installPackages() {
  const missing = Object.entries(PACKAGES).filter(([, [program]]) => !findProgram(program));
  if (missing.length === 0) return;
  const names = missing.map(([name]) => name);
  const why = missing.map(([name, [, tests]]) => `  ${name}: ${tests}`).join("\n");
  if (!isRoot || !findProgram("apt-get")) {
    const cause = isRoot ? "this is no Debian" : "this is not root";
    console.log(`Tests that need these Debian packages are skipped, since ${cause}:\n${why}`);
    console.log(`  to run them too: sudo apt-get install -y --no-install-recommends ${names.join(" ")}\n`);
    return;
  }
  console.log(`Installing from Debian: ${names.join(", ")}`);
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  // The tests start these programs themselves: no service may come up by being installed.
  const policy = "/usr/sbin/policy-rc.d";
  const script = `set -e
    [ -e ${policy} ] || { printf '#!/bin/sh\\nexit 101\\n' > ${policy}; chmod +x ${policy}; trap 'rm -f ${policy}' EXIT; }
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends ${names.join(" ")}`;
  const { status, stdout, stderr } = spawnSync("sh", ["-c", script], { env, encoding: "utf8" });
  if (status === 0) return;
  console.log(`${stdout.slice(-2000)}${stderr.slice(-2000)}`);
  console.log(`apt-get could not install them; the tests that need them are skipped:\n${why}\n`);
}

/** Runs `bun test` and reads its JUnit report. A run that ends without one counts as one failure. */
function runTests(title, { argv, cwd, env }) {
  console.log(`\n== ${title}`);
  const folder = mkdtempSync(join(tmpdir(), "pillion-report-"));
  const report = join(folder, "junit.xml");
  if (argv[0] === "setpriv") spawnSync("chown", [String(NOBODY), folder]);
  const [program, ...rest] = [
    ...argv,
    `--timeout=${HANGS_MS}`,
    "--reporter=junit",
    `--reporter-outfile=${report}`,
  ];
  const startedAt = Date.now();
  const { status } = spawnSync(program, rest, { cwd, env, stdio: "inherit" });
  const count = { passed: 0, failed: 0, skipped: 0 };
  if (existsSync(report)) {
    const head = readFileSync(report, "utf8").match(/<testsuites [^>]*>/)?.[0] ?? "";
    const number = (name) => Number(head.match(new RegExp(` ${name}="(\\d+)"`))?.[1] ?? 0);
    count.failed = number("failures") + number("errors");
    count.skipped = number("skipped");
    count.passed = number("tests") - count.failed - count.skipped;
  }
  if (status !== 0 && count.failed === 0) count.failed = 1;
  rmSync(folder, { recursive: true, force: true });
  console.log(`== ${title}: ${Math.round((Date.now() - startedAt) / 1000)} s`);
  return count;
}

/** The folder an ordinary user may read: the checkout, or hard links to it where its parents are closed. */
function readableCheckout() {
  const asNobody = (...argv) => spawnSync("setpriv", [...nobody(), ...argv]).status === 0;
  if (asNobody("test", "-r", join(root, "package.json"))) return { path: root, remove: () => {} };
  const folder = mkdtempSync("/var/tmp/pillion-checkout-");
  spawnSync("chmod", ["755", folder]);
  const copy = join(folder, "pillion");
  const linked = spawnSync("cp", ["-al", root, copy]).status === 0;
  if (!linked) spawnSync("cp", ["-a", root, copy]);
  return { path: copy, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

function nobody() {
  return [`--reuid=${NOBODY}`, `--regid=${NOBODY}`, "--clear-groups"];
}

function runRootless(env) {
  const checkout = readableCheckout();
  const home = mkdtempSync("/var/tmp/pillion-home-");
  spawnSync("chown", [`${NOBODY}:${NOBODY}`, home]);
  const program = join(checkout.path, "node_modules/bun/bin/bun.exe");
  try {
    return runTests("the sandbox, as an ordinary user", {
      argv: [
        "setpriv",
        ...nobody(),
        program,
        "test",
        "src/cluster/sandbox",
        "src/cluster/kubelet",
        "test/e2e",
      ],
      cwd: checkout.path,
      env: { ...env, HOME: home, TMPDIR: home, XDG_STATE_HOME: join(home, "state") },
    });
  } finally {
    rmSync(home, { recursive: true, force: true });
    checkout.remove();
  }
}

if (process.platform !== "linux") {
  console.log(
    `Pillion's tests run pods, which needs Linux; this is ${process.platform}. Use a Linux machine or VM.`,
  );
  process.exit(1);
}
installPackages();
const env = {
  ...process.env,
  ...(soak ? { PILLION_SOAK: "1" } : {}),
  BUN_RUNTIME_TRANSPILER_CACHE_PATH: "0",
};
const counts = [runTests("all tests", { argv: [bun, "test", "src", "test", "tools"], cwd: root, env })];
if (isRoot && findProgram("setpriv")) counts.push(runRootless(env));
const sum = (key) => counts.reduce((total, count) => total + count[key], 0);
const skipped = sum("skipped") > 0 ? `, ${sum("skipped")} skipped` : "";
console.log(`\n${sum("passed")} passed, ${sum("failed")} failed${skipped}`);
process.exit(sum("failed") > 0 || sum("passed") === 0 ? 1 : 0);
