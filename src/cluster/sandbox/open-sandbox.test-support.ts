/** What tests do inside an engine's namespaces: each function runs in a process of its own and prints what it found as JSON. */
import { existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { formatIpv4 } from "../../lib/ipv4.ts";
import { messageOf } from "../../kernel/problem.ts";
import { sandboxFolder } from "./leftovers.ts";
import { DEFAULT_RANGES } from "./network.ts";
import { openSandbox } from "./open-sandbox.ts";
import type { ContainerSpec, PodSandbox, PodSandboxSpec, RunningContainer } from "./sandbox.ts";

const SIGKILL = 9;

export const scenarios = { network, lifecycle, manyPods, idle };

/** How a test calls one of them: a command for `namespaceCommand`. */
export function scenarioCommand(name: keyof typeof scenarios, folder: string): string[] {
  const script = `import { scenarios } from ${JSON.stringify(import.meta.path)};
    await scenarios.${name}(${JSON.stringify(folder)});`;
  return [process.execPath, "-e", script];
}

export function podSpec(name: string, more: Partial<PodSandboxSpec> = {}): PodSandboxSpec {
  return { uid: `uid-${name}`, namespace: "test", name, hostname: name, hostNetwork: false, ...more };
}

let containers = 0;

/** The Bun that runs the test, where every user of the container may run it: its own folder may be closed. */
export const BUN_INSIDE = "/opt/bun";

/** Programs of this machine, and Bun. */
export function containerSpec(folder: string, name: string, argv: readonly string[]): ContainerSpec {
  containers += 1;
  return {
    name,
    id: String(containers).padStart(64, "0"),
    rootfs: { kind: "host", folders: [], copies: [] },
    argv,
    env: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", `PILLION_TEST=${folder}`],
    workingDir: "/",
    user: { user: "0", supplementalGroups: [] },
    capabilities: { add: [], drop: [] },
    noNewPrivileges: false,
    readOnlyRootFilesystem: false,
    privileged: false,
    mounts: [{ kind: "bind", source: process.execPath, target: BUN_INSIDE, readOnly: true }],
    logPath: join(folder, `${name}.log`),
  };
}

/** What a container has written, without the columns of the log format. */
function said(folder: string, name: string): string {
  const lines = readFileSync(join(folder, `${name}.log`), "utf8")
    .trim()
    .split("\n");
  return lines.map((line) => line.split(" ").slice(3).join(" ")).join("\n");
}

async function outputOf(
  pod: PodSandbox,
  { folder, name, argv }: { folder: string; name: string; argv: readonly string[] },
) {
  const container = await pod.startContainer(containerSpec(folder, name, argv));
  await container.exited;
  return said(folder, name);
}

/** Asks until the server listens, or until it is certain that nobody will. */
const CLIENT = `
  const [url, patient] = process.argv.slice(1);
  for (let tries = 0; ; tries++) {
    try { console.log(await (await fetch(url, { signal: AbortSignal.timeout(5000) })).text()); break; }
    catch (error) { if (patient !== "wait" || tries > 500) { console.log(error.name === "TimeoutError" ? "timeout" : "refused"); break; } }
    await Bun.sleep(10);
  }`;

const serverScript = (text: string, port: number) =>
  `Bun.serve({ hostname: "0.0.0.0", port: ${port}, fetch: () => new Response("${text}") }); console.log("listening");`;

/** Two pods serve on port 80; who reaches whom. */
async function network(folder: string): Promise<void> {
  const host = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response("this machine") });
  const sandbox = await openSandbox({ stateDir: folder });
  const bun = (script: string, ...args: string[]) => [BUN_INSIDE, "-e", script, ...args];
  const [one, two] = [await sandbox.createPod(podSpec("one")), await sandbox.createPod(podSpec("two"))];
  const onNode = await sandbox.createPod(podSpec("on-node", { hostNetwork: true }));
  await one.startContainer(containerSpec(folder, "server-one", bun(serverScript("one", 80))));
  // No privilege is needed for port 80, where the machine lets us have other users at all.
  const user = sandbox.tier.otherUsers ? "1000" : "0";
  await two.startContainer({
    ...containerSpec(folder, "server-two", bun(serverScript("two", 80))),
    user: { user, supplementalGroups: [] },
    capabilities: { add: [], drop: ["ALL"] },
  });
  await onNode.startContainer(containerSpec(folder, "server-node", bun(serverScript("node", 8080))));
  const ask = (pod: PodSandbox, name: string, ...args: string[]) =>
    outputOf(pod, { folder, name, argv: bun(CLIENT, ...args) });
  const asked = {
    "pod to pod": ask(one, "one-two", `http://${two.ip}/`, "wait"),
    "and back": ask(two, "two-one", `http://${one.ip}/`, "wait"),
    "container to container by localhost": ask(one, "localhost", "http://127.0.0.1/", "wait"),
    "node to pod": ask(onNode, "node-one", `http://${one.ip}/`, "wait"),
    "pod to node": ask(one, "one-node", `http://${onNode.ip}:8080/`, "wait"),
    "pod to the node by a Service's address": ask(one, "one-service", "http://10.96.12.34:8080/", "wait"),
    "pod to this machine's loopback": ask(one, "one-host", `http://127.0.0.1:${host.port}/`),
    "node to this machine's loopback": ask(onNode, "node-host", `http://127.0.0.1:${host.port}/`),
    "pod to the outside": ask(one, "one-outside", "http://192.0.2.1/"),
    "node to the outside": ask(onNode, "node-outside", "http://192.0.2.1/"),
  };
  const answers: Record<string, string> = {};
  for (const [question, answer] of Object.entries(asked)) answers[question] = await answer;
  const routes = await outputOf(one, { folder, name: "routes", argv: ["cat", "/proc/net/route"] });
  const nodeLinks = await outputOf(onNode, { folder, name: "links", argv: ["ls", "/sys/class/net"] });
  const hostnames = await Promise.all(
    [one, onNode].map((pod) => outputOf(pod, { folder, name: `hostname-${pod.uid}`, argv: ["hostname"] })),
  );
  await sandbox.close();
  await host.stop(true);
  const addresses = { node: sandbox.nodeIP, one: one.ip, two: two.ip, onNode: onNode.ip };
  print({
    tier: sandbox.tier.name,
    addresses,
    answers,
    routes: readRoutes(routes),
    nodeLinks: nodeLinks.split("\n"),
    hostnames,
  });
}

/** Interface, destination and gateway of each line of /proc/net/route. */
function readRoutes(text: string): string[] {
  const address = (hex = "") => formatIpv4(Buffer.from(hex, "hex").readUInt32LE());
  return text
    .split("\n")
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .map(([link, to, gateway]) => `${link} ${address(to)} via ${address(gateway)}`);
}

/** What pods do when things end or go wrong. */
async function lifecycle(folder: string): Promise<void> {
  // Room for five pods, so that addresses come back.
  const ranges = { ...DEFAULT_RANGES, pods: { base: DEFAULT_RANGES.pods.base, prefixLength: 29 } };
  const sandbox = await openSandbox({ stateDir: folder, ranges });
  const found: Record<string, unknown> = {};

  const ips: string[] = [];
  for (let round = 0; round < 12; round++) {
    const pod = await sandbox.createPod(podSpec("short"));
    ips.push(pod.ip);
    await pod.destroy();
    await pod.destroy();
  }
  found["ips"] = ips.map((ip) => ip.replace("10.244.0.", ""));

  found["longName"] = await refusal(() => sandbox.createPod(podSpec("long", { hostname: "h".repeat(65) })));
  found["recordsAfterFailure"] = recordsOf(folder);

  const full = await Promise.all(
    Array.from({ length: 5 }, (_, index) => sandbox.createPod(podSpec(`p${index}`))),
  );
  found["noAddress"] = await refusal(() => sandbox.createPod(podSpec("one-too-many")));
  const [first, second, third] = full;
  if (first === undefined || second === undefined || third === undefined) throw new Error("no pods");

  const volume = join(folder, "memory");
  mkdirSync(volume);
  first.mountTmpfs(volume, { sizeLimit: 1_000_000, mode: 0o750 });
  mkdirSync(join(volume, "inner"));
  first.mountTmpfs(join(volume, "inner"), { mode: 0o700 });
  writeFileSync(join(volume, "inner", "secret"), "x");
  found["mounts"] = mountsBelow(volume, folder);
  first.unmount(join(volume, "inner"));
  first.unmount(join(volume, "inner"));
  first.mountTmpfs(join(volume, "inner"), { mode: 0o700 });

  const sleeper = await first.startContainer(containerSpec(folder, "sleeper", ["sleep", "1000"]));
  found["records"] = recordsOf(folder).filter((what) => what.startsWith("container"));
  const destroying = first.destroy();
  found["startWhileDestroyed"] = await refusal(() =>
    first.startContainer(containerSpec(folder, "late", ["true"])),
  );
  await destroying;
  found["sleeper"] = (await sleeper.exited).signal;
  found["mountsAfter"] = mountsBelow(volume, folder);
  found["volumeAfter"] = readdirSync(volume);

  const { pid, endPod } = holderOf(folder, second.uid);
  const survivor = await second.startContainer(containerSpec(folder, "survivor", ["sleep", "1000"]));
  endPod();
  await second.exited;
  found["startAfterEnd"] = await refusal(() =>
    second.startContainer(containerSpec(folder, "late", ["true"])),
  );
  found["holderGone"] = !existsSync(`/proc/${pid}`);
  await second.destroy();
  found["survivor"] = (await survivor.exited).signal;

  found["race"] = await raceOfStartAndDestroy(folder, third);
  await Promise.all([sandbox.close(), sandbox.close()]);
  found["createAfterClose"] = await refusal(() => sandbox.createPod(podSpec("late")));
  found["recordsAfterClose"] = recordsOf(folder);
  print(found);
}

/** A pod that is destroyed while a container starts ends with no container running. */
async function raceOfStartAndDestroy(folder: string, pod: PodSandbox): Promise<string> {
  const starting = pod.startContainer(containerSpec(folder, "racer", ["sleep", "1000"]));
  await pod.destroy();
  const [outcome] = await Promise.allSettled([starting]);
  if (outcome.status === "rejected") return "refused";
  return `ended by signal ${(await outcome.value.exited).signal}`;
}

async function refusal(action: () => Promise<unknown>): Promise<string> {
  try {
    await action();
  } catch (error) {
    return messageOf(error);
  }
  return "nothing was refused";
}

function recordFiles(folder: string): { pid: number; what: string }[] {
  const processes = join(sandboxFolder(folder), "processes");
  return readdirSync(processes).map((name) => ({
    pid: Number(name.split("-")[0]),
    what: readFileSync(join(processes, name), "utf8").trim(),
  }));
}

function recordsOf(folder: string): string[] {
  return recordFiles(folder).map(({ what }) => what);
}

function holderOf(folder: string, uid: string): { pid: number; endPod: () => void } {
  const record = recordFiles(folder).find(({ what }) => what.startsWith("pod") && what.includes(`(${uid})`));
  if (record === undefined) throw new Error(`no process holds ${uid}`);
  return { pid: record.pid, endPod: () => void process.kill(record.pid, SIGKILL) };
}

/** Type, options and place of what is mounted at `volume` or below. */
function mountsBelow(volume: string, folder: string): string[] {
  const lines = readFileSync("/proc/self/mountinfo", "utf8").split("\n");
  return lines
    .map((line) => line.split(" "))
    .filter((fields) => fields[4]?.startsWith(volume))
    .map(
      (fields) =>
        `${fields[4]?.replace(folder, "")} ${fields[5]} ${fields.at(-1)?.replace(/,uid=.*|,inode64/g, "")}`,
    );
}

/** A hundred pods at once, and how long each took. */
async function manyPods(folder: string): Promise<void> {
  const sandbox = await openSandbox({ stateDir: folder });
  const milliseconds: number[] = [];
  const ips = new Set<string>();
  for (let index = 0; index < 100; index++) {
    const startedAt = performance.now();
    const pod = await sandbox.createPod(podSpec(`pod-${index}`));
    milliseconds.push(performance.now() - startedAt);
    ips.add(pod.ip);
  }
  const closedAt = performance.now();
  await sandbox.close();
  const median = milliseconds.sort((a, b) => a - b)[50] ?? 0;
  print({ pods: ips.size, median, close: performance.now() - closedAt, records: recordsOf(folder) });
}

/** Leaves pods running until it is killed; one container does not die with the engine. */
async function idle(folder: string): Promise<void> {
  const sandbox = await openSandbox({ stateDir: folder });
  const pod = await sandbox.createPod(podSpec("one"));
  await sandbox.createPod(podSpec("two", { hostNetwork: true }));
  const volume = join(folder, "memory");
  mkdirSync(volume);
  pod.mountTmpfs(volume, { mode: 0o700 });
  const stubborn = ["setpriv", "--pdeathsig", "clear", "sh", "-c", "echo stubborn; exec sleep 1000"];
  const started: RunningContainer[] = [
    await pod.startContainer(containerSpec(folder, "ordinary", ["sleep", "1000"])),
    await pod.startContainer(containerSpec(folder, "stubborn", stubborn)),
  ];
  while (
    !existsSync(join(folder, "stubborn.log")) ||
    !readFileSync(join(folder, "stubborn.log"), "utf8").includes("stubborn")
  ) {
    await Bun.sleep(2);
  }
  print({ stubborn: started[1]?.pid, mounts: readlinkSync("/proc/self/ns/mnt") });
  await pod.exited;
}

function print(value: object): void {
  console.log(JSON.stringify(value));
}
