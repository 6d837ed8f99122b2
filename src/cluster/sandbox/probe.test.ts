import { expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { namespaceCommand } from "./enter-namespaces.ts";
import type { ProbeResult } from "./probe.ts";

const moduleOf = (name: string) => JSON.stringify(join(import.meta.dirname, name));

/** What a process that is started with `prefix` finds out. */
async function probedWith(prefix: readonly string[]): Promise<ProbeResult> {
  const folder = mkdtempSync(join(tmpdir(), "pillion-probe-"));
  const script = `import { loadLauncher } from ${moduleOf("launcher.ts")};
    import { probe } from ${moduleOf("probe.ts")};
    const result = probe(loadLauncher(), ${JSON.stringify(folder)});
    console.log(JSON.stringify(result, (_, value) => value === undefined ? "works" : value));`;
  const mountsBefore = readFileSync("/proc/self/mountinfo", "utf8");
  try {
    const run = Bun.spawn([...prefix, process.execPath, "-e", script], { stdout: "pipe" });
    const result = JSON.parse(await run.stdout.text()) as ProbeResult;
    expect(readdirSync(folder)).toEqual([]);
    return result;
  } finally {
    expect(readFileSync("/proc/self/mountinfo", "utf8")).toBe(mountsBefore);
    rmSync(folder, { recursive: true });
  }
}

test("probe() finds everything that pods need inside the engine's namespaces, and leaves no mount", async () => {
  const { setuid, ...needed } = await probedWith(namespaceCommand([]));
  expect(needed).toEqual({
    podNamespaces: "works",
    sethostname: "works",
    containerNamespaces: "works",
    tmpfs: "works",
    bind: "works",
    detachedMount: "works",
    overlay: "works",
    proc: "works",
    sysfs: "works",
  });
  expect(setuid === "works" || setuid?.endsWith("invalid argument (EINVAL)")).toBe(true);
});

test("probe() names what the kernel refuses to a process without CAP_SYS_ADMIN", async () => {
  const isRoot = process.geteuid?.() === 0;
  const withoutPower = isRoot ? ["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-all", "--"] : [];
  const { setuid: _, ...refused } = await probedWith(withoutPower);
  expect(Object.entries(refused)).toEqual(
    Object.keys(refused).map((name) => [name, "clone(): operation not permitted (EPERM)"]),
  );
});
