/**
 * How fast a two-container pod with a shared volume starts, beside `podman kube play` of the same manifest.
 * Run: `bun bench/pod-start.ts` (root; podman from Debian for the peer). Prints a table and writes nothing.
 */
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ApiClient } from "../src/cli/api-client.ts";
import { kubectlPath } from "../src/testing/kubectl.ts";
import { PillionHome } from "../src/testing/pillion.ts";
import { cpuMs, rssMiB } from "./engine-process.ts";

const ROUNDS = 20;
const CROWD = 100;

interface Started {
  readonly status?: {
    readonly containerStatuses?: readonly { readonly state?: { readonly running?: object } }[];
  };
  readonly metadata: { readonly name: string; readonly resourceVersion: string };
}

function pod(name: string): Record<string, unknown> {
  const container = (of: string) => ({
    name: of,
    image: "busybox",
    command: ["sh", "-c", "trap 'exit 0' TERM; sleep 1000 & wait"],
    volumeMounts: [{ name: "shared", mountPath: "/shared" }],
  });
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name },
    spec: {
      terminationGracePeriodSeconds: 1,
      containers: [container("main"), container("sidecar")],
      volumes: [{ name: "shared", emptyDir: {} }],
    },
  };
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

function p90(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length * 0.9)] ?? Number.NaN;
}

function row(what: string, values: readonly number[]): void {
  console.log(
    `${what.padEnd(58)} ${median(values).toFixed(1).padStart(8)} ms   p90 ${p90(values).toFixed(1)} ms`,
  );
}

const isRunning = ({ status }: Started) =>
  status?.containerStatuses?.length === 2 && status.containerStatuses.every(({ state }) => state?.running);

/** POST accepted to both containers running, as a watching client sees it. */
async function startPods(
  api: ApiClient,
  names: readonly string[],
): Promise<{ accepted: number; running: number }> {
  const collection = "/api/v1/namespaces/default/pods";
  const { metadata } = await api.request<{ metadata: { resourceVersion: string } }>(collection);
  const done = new AbortController();
  const waiting = new Set(names);
  const { promise, resolve } = Promise.withResolvers<number>();
  const watching = (async () => {
    for await (const { object } of api.watch(collection, metadata.resourceVersion, done.signal)) {
      const started = object as unknown as Started;
      if (isRunning(started)) waiting.delete(started.metadata.name);
      if (waiting.size === 0) {
        resolve(performance.now());
        return;
      }
    }
  })();
  const startedAt = performance.now();
  let accepted = startedAt;
  const post = async (name: string) => {
    await api.request(collection, { method: "POST", body: pod(name) });
    if (accepted === startedAt) accepted = performance.now();
  };
  await Promise.all(names.map(post));
  const running = await promise;
  done.abort();
  void watching.catch(() => {});
  return { accepted: accepted - startedAt, running: running - (names.length > 1 ? startedAt : accepted) };
}

async function measurePillion(): Promise<number> {
  await using home = new PillionHome();
  writeFileSync(join(home.path, "images.yaml"), "images: { busybox: host }\n");
  const up = ["up", "-d", "--images", join(home.path, "images.yaml")];
  await home.mustRun(up);
  await home.mustRun(["down"]);
  const ups: number[] = [];
  for (let round = 0; round < 5; round++) {
    const startedAt = performance.now();
    await home.mustRun(up);
    ups.push(performance.now() - startedAt);
    if (round < 4) await home.mustRun(["down"]);
  }
  row("`pillion up -d` to API ready (whole command)", ups);
  const api = new ApiClient(home.kubeconfig());
  const inside: number[] = [];
  const deleted: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    inside.push((await startPods(api, [`pod-${round}`])).running);
    const startedAt = performance.now();
    await deletePods(api, [`pod-${round}`]);
    deleted.push(performance.now() - startedAt);
  }
  row("POST accepted to both containers running", inside);
  row("DELETE to gone (containers end at once)", deleted);
  const kubectl = await measureKubectl(home, api);
  await measureCrowd(home, api);
  return kubectl;
}

async function measureKubectl(home: PillionHome, api: ApiClient): Promise<number> {
  const kubectl = await kubectlPath("35");
  const file = join(home.path, "pod.json");
  const whole: number[] = [];
  const env = { ...home.env, KUBECONFIG: home.kubeconfig() };
  for (let round = 0; round < ROUNDS; round++) {
    writeFileSync(file, JSON.stringify(pod(`applied-${round}`)));
    const startedAt = performance.now();
    await Bun.spawn([kubectl, "apply", "-f", file], { env, stdio: ["ignore", "ignore", "inherit"] }).exited;
    const running = ["wait", "--for=condition=Ready", `pod/applied-${round}`, "--timeout=30s"];
    const object = await api.request<unknown>(`/api/v1/namespaces/default/pods/applied-${round}`);
    if (!isRunning(object as Started)) {
      await Bun.spawn([kubectl, ...running], { env, stdio: ["ignore", "ignore", "inherit"] }).exited;
    }
    whole.push(performance.now() - startedAt);
    await deletePods(api, [`applied-${round}`]);
  }
  row("`kubectl apply` to both containers running", whole);
  return median(whole);
}

async function deletePods(api: ApiClient, names: readonly string[]): Promise<void> {
  const collection = "/api/v1/namespaces/default/pods";
  await Promise.all(names.map((name) => api.request(`${collection}/${name}`, { method: "DELETE" })));
  while ((await api.request<{ items: unknown[] }>(collection)).items.length > 0) await Bun.sleep(2);
}

async function measureCrowd(home: PillionHome, api: ApiClient): Promise<void> {
  const names = Array.from({ length: CROWD }, (_, index) => `crowd-${index}`);
  const { running } = await startPods(api, names);
  const engine = home.enginePid();
  await Bun.sleep(3000);
  const [rss, cpu] = [rssMiB(engine), cpuMs(engine)];
  const IDLE_MS = 10_000;
  await Bun.sleep(IDLE_MS);
  const idle = ((cpuMs(engine) - cpu) / IDLE_MS) * 100;
  console.log(
    `${CROWD} such pods, first POST to all running`.padEnd(58),
    (running / 1000).toFixed(2).padStart(8),
    "s",
  );
  console.log("engine's memory with them (RSS)".padEnd(58), rss.toFixed(0).padStart(8), "MiB");
  console.log("engine's CPU when idle with them".padEnd(58), idle.toFixed(2).padStart(8), "% of a core");
  const startedAt = performance.now();
  await deletePods(api, names);
  console.log(
    "deleting them".padEnd(58),
    ((performance.now() - startedAt) / 1000).toFixed(2).padStart(8),
    "s",
  );
}

/**
 * A wrapper of crun without `rlimits`: where CAP_SYS_RESOURCE is missing, as in many virtual machines and containers, crun
 * cannot raise them and podman starts nothing.
 */
const CRUN = String.raw`#!/bin/sh
bundle= previous=
for word in "$@"; do
  case "$previous" in --bundle|-b) bundle=$word;; esac
  previous=$word
done
[ -z "$bundle" ] || sed -i -E 's/,"rlimits":\[[^]]*\]//; s/"rlimits":\[[^]]*\],//' "$bundle/config.json"
exec crun "$@"
`;

/** podman with the same manifest, in a mount namespace of its own; undefined, and why on the screen, when it does not run. */
async function measurePodman(): Promise<number | undefined> {
  const missing = ["podman", "crun", "busybox", "catatonit"].filter((name) => Bun.which(name) === null);
  if (missing.length > 0) {
    console.log(`no comparison with podman, since these are missing: ${missing.join(", ")}`);
    return undefined;
  }
  await using home = new PillionHome();
  const file = (name: string) => join(home.path, name);
  const image = "localhost/pillion-bench:1";
  writeFileSync(file("crun"), CRUN, { mode: 0o755 });
  writeFileSync(
    file("containers.conf"),
    `[engine]\ncgroup_manager="cgroupfs"\nruntime="crun"\n[engine.runtimes]\ncrun=["${file("crun")}"]\n`,
  );
  writeFileSync(
    file("pod.json"),
    JSON.stringify(pod("pillion-bench")).replaceAll('"busybox"', JSON.stringify(image)),
  );
  const { exitCode, stdout, stderr } = Bun.spawnSync(["unshare", "-m", "sh", "-c", podmanScript(image)], {
    cwd: home.path,
    env: { ...process.env, CONTAINERS_CONF: file("containers.conf") },
    stdio: ["ignore", "pipe", "pipe"],
  });
  if (exitCode !== 0) {
    console.log(`podman kube play fails here: ${stderr.toString().trim().split("\n").at(-1)}`);
    return undefined;
  }
  const times = stdout
    .toString()
    .trim()
    .split("\n")
    .map((us) => Number(us) / 1000);
  row("`podman kube play` of the same pod", times);
  return median(times);
}

/** Prints microseconds, a line per round. The image is a busybox and nothing else. */
function podmanScript(image: string): string {
  return `set -e
    # Hybrid control groups: crun wants every v1 controller that v2 still has.
    if [ -d /sys/fs/cgroup/unified ] && [ ! -d /sys/fs/cgroup/hugetlb ]; then
      mkdir /sys/fs/cgroup/hugetlb; trap 'umount /sys/fs/cgroup/hugetlb; rmdir /sys/fs/cgroup/hugetlb' EXIT
      mount -t cgroup -o hugetlb none /sys/fs/cgroup/hugetlb
    fi
    mkdir -p root/bin; cp "$(command -v busybox)" root/bin/busybox
    ln -s busybox root/bin/sh; ln -s busybox root/bin/sleep
    tar -C root -c . | podman import -q -c 'ENV PATH=/bin' - ${image} >/dev/null
    for round in $(seq ${ROUNDS}); do
      from=$(date +%s%N); podman kube play --network=none pod.json >/dev/null; to=$(date +%s%N)
      echo $(( (to - from) / 1000 ))
      podman kube down pod.json >/dev/null
    done
    podman rmi -f ${image} >/dev/null`;
}

console.log(
  `${readdirSync("/sys/devices/system/cpu").filter((name) => /^cpu\d+$/.test(name)).length} cores\n`,
);
const pillion = await measurePillion();
const podman = await measurePodman();
if (podman !== undefined)
  console.log(`\npodman / pillion (kubectl apply to running): ${(podman / pillion).toFixed(1)}x`);
