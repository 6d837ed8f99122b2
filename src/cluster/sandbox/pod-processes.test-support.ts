/** Processes of pods, started by an engine inside its namespaces; prints what came of them as JSON. */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { messageOf } from "../../kernel/problem.ts";
import { execIn, filesClosed, finished, openFiles } from "./container-exec.test-support.ts";
import { sandboxFolder } from "./leftovers.ts";
import { containerSpec, podSpec } from "./open-sandbox.test-support.ts";
import { openSandbox } from "./open-sandbox.ts";
import type { ContainerSpec, PodSandbox, RunningContainer, Sandbox } from "./sandbox.ts";

const SIGTERM = 15;
const SIGKILL = 9;
const SLEEP = ["sleep", "1000"];
/** Daemons that leave the session and the family of process 1, and hold its output. */
const DAEMONS = "setsid sleep 1000 & (setsid sh -c 'trap : TERM HUP; while :; do sleep 1000; done' &)";

/** The kernel shows the arguments of a new program a moment after it has started. */
const COMMAND_OF_1 = "until tr '\\0' ' ' < /proc/1/cmdline | grep .; do :; done";

interface World {
  readonly sandbox: Sandbox;
  readonly folder: string;
}

async function start(
  { folder }: World,
  pod: PodSandbox,
  [name, argv, more = {}]: readonly [string, readonly string[], Partial<ContainerSpec>?],
): Promise<RunningContainer> {
  return pod.startContainer({ ...containerSpec(folder, name, argv), ...more });
}

async function sh(container: RunningContainer, script: string): Promise<string> {
  const { stdout, stderr } = await finished(await execIn(container, ["sh", "-c", script]));
  return `${stdout}${stderr}`.trim();
}

async function ordinaryPod(world: World): Promise<object> {
  const pod = await world.sandbox.createPod(podSpec("ordinary"));
  const [one, two] = [await start(world, pod, ["one", SLEEP]), await start(world, pod, ["two", SLEEP])];
  const namespace = (container: RunningContainer, kind: string) =>
    readlinkSync(`/proc/${container.pid}/ns/${kind}`);
  const shared = ["net", "ipc", "uts", "pid", "mnt"].filter(
    (kind) => namespace(one, kind) === namespace(two, kind),
  );
  const first = await Promise.all([one, two].map((each) => sh(each, COMMAND_OF_1)));
  await sh(one, "echo hello > /dev/shm/file");
  const seen = await sh(
    two,
    "cat /dev/shm/file; stat -f -c '%T %b %S' /dev/shm; stat -c %a /dev/shm; hostname",
  );
  const other = await world.sandbox.createPod(podSpec("other"));
  const apart = await sh(await start(world, other, ["apart", SLEEP]), "ls /dev/shm | wc -l; hostname");
  await Promise.all([pod.destroy(), other.destroy()]);
  return { shared, first, seen, apart };
}

async function sharedPod(world: World): Promise<object> {
  const pod = await world.sandbox.createPod(podSpec("shared", { sharesProcesses: true }));
  const [one, two] = [await start(world, pod, ["one", SLEEP]), await start(world, pod, ["two", SLEEP])];
  const found: Record<string, unknown> = {};
  found["process 1"] = await sh(one, "cat /proc/1/comm; [ $$ -gt 1 ] && echo other");
  const seen = async (container: RunningContainer) =>
    (await sh(container, "ps -e -o comm=")).split("\n").filter((name) => name === "sleep").length;
  found["sleeps seen"] = [await seen(one), await seen(two)];
  found["own root"] = readlinkSync(`/proc/${one.pid}/ns/mnt`) !== readlinkSync(`/proc/${two.pid}/ns/mnt`);
  // Never comes back when nobody reaps them.
  found["orphans"] = await sh(
    two,
    "for i in 1 2 3 4 5; do (sh -c 'exit 3' &) ; done; while ps -e -o stat= | grep -q Z; do :; done; echo reaped",
  );
  found["not found"] = await start(world, pod, ["lost", ["nope"]]).then(() => "started", messageOf);
  found["error in an exec"] = await execIn(one, ["nope"]).then(() => "started", messageOf);

  const exits = await start(world, pod, ["exits", ["sh", "-c", `${DAEMONS}; exit 3`]]);
  found["leaves daemons"] = (await exits.exited).exitCode;
  const killed = await start(world, pod, ["killed", ["sh", "-c", `${DAEMONS}; echo up; exec sleep 1000`]]);
  const members = namespacesOf(killed);
  const helper = await execIn(killed, SLEEP);
  await until(() => readFileSync(join(world.folder, "killed.log"), "utf8").includes("up"));
  killed.kill(SIGKILL);
  found["killed"] = [(await killed.exited).exitCode, (await helper.exited).exitCode, processesIn(members)];
  helper.detach();
  found["others stay"] = [await seen(one)];

  const polite = await start(world, pod, ["polite", SLEEP]);
  polite.kill(SIGTERM);
  found["SIGTERM to a program without a handler"] = (await polite.exited).exitCode;

  holderOf(world.folder, pod.uid)();
  await pod.exited;
  found["holder killed"] = await Promise.all([one, two].map(async ({ exited }) => (await exited).exitCode));
  await pod.destroy();
  return found;
}

async function visitors(world: World): Promise<object> {
  const pod = await world.sandbox.createPod(podSpec("visited"));
  const target = await start(world, pod, ["target", SLEEP]);
  const processesOf = target.id;
  const visitor = await start(world, pod, [
    "visitor",
    ["sh", "-c", `${DAEMONS}; exec sleep 1000`],
    { processesOf },
  ]);
  const found: Record<string, unknown> = {};
  found["process 1"] = await sh(visitor, COMMAND_OF_1);
  found["same"] = readlinkSync(`/proc/${visitor.pid}/ns/pid`) === readlinkSync(`/proc/${target.pid}/ns/pid`);
  found["root of the target"] = await sh(visitor, "ls -d /proc/1/root/etc");
  visitor.kill(SIGKILL);
  await visitor.exited;
  // What is being killed is there a little longer, as something that has ended.
  const alone = 'until [ "$(ps -e -o stat=,comm= | grep -v Z | grep -c sleep)" = 1 ]; do :; done; echo alone';
  found["target alone"] = await sh(target, alone);
  const second = await start(world, pod, ["second", SLEEP, { processesOf }]);
  target.kill(SIGKILL);
  found["end with the target"] = [(await target.exited).exitCode, (await second.exited).exitCode];
  found["no target"] = await start(world, pod, ["late", SLEEP, { processesOf }]).then(
    () => "started",
    messageOf,
  );
  await pod.destroy();
  return found;
}

/** Names are used again once a namespace is gone: that of the pod's processes is not. */
function namespacesOf({ pid }: { readonly pid: number | string }): string {
  return ["mnt", "pid"].map((kind) => readlinkSync(`/proc/${pid}/ns/${kind}`)).join(" ");
}

function processesIn(namespaces: string): number {
  return readdirSync("/proc").filter((pid) => {
    try {
      return namespacesOf({ pid }) === namespaces;
    } catch {
      return false;
    }
  }).length;
}

/** Kills the process that holds a pod's namespaces. */
function holderOf(folder: string, uid: string): () => void {
  const processes = join(sandboxFolder(folder), "processes");
  const record = readdirSync(processes).find((name) => {
    const what = readFileSync(join(processes, name), "utf8");
    return what.startsWith("pod") && what.includes(`(${uid})`);
  });
  return () => void process.kill(Number(record?.split("-")[0]), SIGKILL);
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await Bun.sleep(1);
}

/** Runs as the program of a process inside `namespaceCommand`. */
async function podProcesses(folder: string): Promise<void> {
  const world = { folder, sandbox: await openSandbox({ stateDir: folder }) };
  await ordinaryPod(world);
  const files = openFiles();
  const mounts = readFileSync("/proc/self/mountinfo", "utf8");
  const found = {
    ordinary: await ordinaryPod(world),
    shared: await sharedPod(world),
    visitors: await visitors(world),
  };
  await filesClosed(files);
  const isClean = readFileSync("/proc/self/mountinfo", "utf8") === mounts;
  await world.sandbox.close();
  console.log(JSON.stringify({ ...found, isClean }));
}

const [folder] = process.argv.slice(2);
if (import.meta.main && folder !== undefined) await podProcesses(folder);
