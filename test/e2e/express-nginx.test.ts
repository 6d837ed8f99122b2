/** The example of Express behind nginx: installed by helm, scaled, updated and hurt while clients go on asking. */
import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { helmPath } from "../../src/testing/kubectl.ts";
import { followProcess, PillionHome } from "../../src/testing/pillion.ts";
import { type KubectlSession, openKubectl } from "../conformance/kubectl-session.ts";
import { type Load, startLoad } from "./http-load.ts";

const isSoak = process.env["PILLION_SOAK"] === "1";
const hasNginx = Bun.which("nginx", { PATH: `${process.env["PATH"]}:/usr/sbin` }) !== null;
const example = join(import.meta.dirname, "../../examples/express-nginx");
const PAGES = { "/": "Hello from NGINX!", "/express/": "Hello from Express!\n" };

interface Example {
  readonly kubectl: KubectlSession;
  readonly helm: (...args: readonly string[]) => Promise<string>;
}

async function upExample(home: PillionHome): Promise<Example> {
  await home.mustRun(["up", "-d", "--images", join(example, ".pillion/images.yaml")]);
  const kubectl = await openKubectl(home, { version: "35", namespace: "default" });
  const program = await helmPath("35");
  const helm = async (...args: readonly string[]) => {
    const env = { ...home.env, KUBECONFIG: home.kubeconfig() };
    const child = Bun.spawn([program, ...args], { env, stdio: ["ignore", "pipe", "pipe"] });
    const { code, stdout, stderr } = await followProcess(child).exited;
    if (code !== 0) throw new Error(`helm ${args.join(" ")} ended with ${code}: ${stderr}`);
    return stdout;
  };
  return { kubectl, helm };
}

/** Where EXTERNAL-IP leads. Where nothing had to move, the port is the Service's own. */
async function loadBalancer(
  kubectl: KubectlSession,
): Promise<{ readonly host: string; readonly port: number }> {
  const json = await kubectl.must([
    "get",
    "service",
    "sidecar-lb",
    "-o",
    "jsonpath={.status.loadBalancer.ingress[0]}",
  ]);
  const { ip, ports } = JSON.parse(json) as { ip: string; ports?: { port: number }[] };
  return { host: ip, port: ports?.[0]?.port ?? 80 };
}

async function podNames(kubectl: KubectlSession, which = "*"): Promise<string[]> {
  const names = await kubectl.must(["get", "pods", "-o", `jsonpath={.items[${which}].metadata.name}`]);
  return names === "" ? [] : names.split(" ");
}

async function untilGone(kubectl: KubectlSession, pods: readonly string[]): Promise<void> {
  await kubectl.must(["wait", ...pods.map((pod) => `pod/${pod}`), "--for=delete", "--timeout=30s"]);
}

/** So many replicas are ready, and no other pod is left. */
async function scaleTo(kubectl: KubectlSession, replicas: number): Promise<void> {
  await kubectl.must(["scale", "deployment/sidecar", `--replicas=${replicas}`]);
  await untilRolledOut(kubectl);
  const ending = await podNames(kubectl, "?(@.metadata.deletionTimestamp)");
  if (ending.length > 0) await untilGone(kubectl, ending);
}

async function untilRolledOut(kubectl: KubectlSession): Promise<void> {
  await kubectl.must(["rollout", "status", "deployment/sidecar", "--timeout=30s"]);
}

/** Goes on until that many more requests have been answered: whatever is wrong by now has had its chance. */
async function moreAnswers(load: Load, count: number): Promise<void> {
  const wanted = load.answered + count;
  while (load.answered < wanted) await Bun.sleep(10);
}

async function untilRestarted(kubectl: KubectlSession, pod: string, container: string): Promise<void> {
  const count = `{.status.containerStatuses[?(@.name=="${container}")].restartCount}`;
  await kubectl.must(["wait", `pod/${pod}`, `--for=jsonpath=${count}=1`, "--timeout=30s"]);
}

/** Kills process 1 of a container, as this machine sees it; from inside nobody can. */
async function killContainer(kubectl: KubectlSession, pod: string, program: RegExp): Promise<void> {
  const uid = await kubectl.must(["get", "pod", pod, "-o", "jsonpath={.metadata.uid}"]);
  const read = (pid: string, file: string) => {
    try {
      return readFileSync(`/proc/${pid}/${file}`, "utf8");
    } catch {
      return ""; // It has ended, or is another user's.
    }
  };
  const found = readdirSync("/proc").filter(
    (pid) => program.test(read(pid, "cmdline").replaceAll("\0", " ")) && read(pid, "mountinfo").includes(uid),
  );
  expect(found).toHaveLength(1);
  process.kill(Number(found[0]), "SIGKILL");
}

test.skipIf(!hasNginx)(
  "express-nginx: helm installs the chart; its load balancer leads to nginx, which leads to Express",
  async () => {
    await using home = new PillionHome();
    const { kubectl, helm } = await upExample(home);
    await helm("install", "sidecar", join(example, "chart"), "--wait", "--timeout=30s");
    const { host, port } = await loadBalancer(kubectl);
    const text = async (path: string) => await (await fetch(`http://${host}:${port}${path}`)).text();
    expect(await text("/")).toContain("Hello from NGINX!");
    expect(await text("/express/")).toBe("Hello from Express!\n");
    await helm("uninstall", "sidecar", "--wait", "--timeout=30s");
    await kubectl.must(["wait", "pod", "--all", "--for=delete", "--timeout=30s"]);
    expect(await kubectl.must(["get", "pods,services", "-o", "name"])).toBe("service/kubernetes\n");
  },
  60_000,
);

test.skipIf(!hasNginx)(
  "express-nginx: scaling and an update under load fail no request",
  async () => {
    await using home = new PillionHome();
    const { kubectl, helm } = await upExample(home);
    await helm("install", "sidecar", join(example, "chart"), "--wait", "--timeout=30s");
    const load = startLoad({ ...(await loadBalancer(kubectl)), pages: PAGES, keeping: 4, fresh: 4 });
    await moreAnswers(load, 100);
    await scaleTo(kubectl, 3);
    const before = await podNames(kubectl);
    expect(before).toHaveLength(3);
    await kubectl.must(["rollout", "restart", "deployment/sidecar"]);
    await untilRolledOut(kubectl);
    await untilGone(kubectl, before);
    await scaleTo(kubectl, 1);
    await moreAnswers(load, 100);
    await load.stop();
    expect(load.failures).toEqual([]);
  },
  60_000,
);

test.skipIf(!hasNginx)(
  "express-nginx: a replica that dies under load fails no request once the endpoints have settled",
  async () => {
    await using home = new PillionHome();
    const { kubectl, helm } = await upExample(home);
    await helm("install", "sidecar", join(example, "chart"), "--set=replicas=3", "--wait", "--timeout=30s");
    const [forced = "", first = "", second = ""] = await podNames(kubectl);
    const load = startLoad({ ...(await loadBalancer(kubectl)), pages: PAGES, fresh: 6 });
    /** What failed from now on until all is well again. */
    const failuresUntilHealed = async (pod?: string) => {
      const settledAt = performance.now();
      if (pod !== undefined)
        await kubectl.must(["wait", `pod/${pod}`, "--for=condition=Ready", "--timeout=30s"]);
      await untilRolledOut(kubectl);
      await moreAnswers(load, 200);
      return load.failures.filter(({ at }) => at >= settledAt).map(({ what }) => what);
    };
    await moreAnswers(load, 100);
    await kubectl.must(["delete", "pod", forced, "--force", "--grace-period=0"]);
    const found = { forced: await failuresUntilHealed(), nginx: [""], express: [""] };
    await killContainer(kubectl, first, /^nginx: master/);
    await untilRestarted(kubectl, first, "nginx");
    found.nginx = await failuresUntilHealed(first);
    await killContainer(kubectl, second, /^node app.js/);
    await untilRestarted(kubectl, second, "express");
    found.express = await failuresUntilHealed(second);
    await load.stop();
    expect(found).toEqual({ forced: [], nginx: [], express: [] });
  },
  60_000,
);

test.skipIf(!hasNginx || !isSoak)(
  "express-nginx: with the article's 30 seconds between probes a pod is ready within 31",
  async () => {
    await using home = new PillionHome();
    const { kubectl, helm } = await upExample(home);
    await helm(
      "install",
      "sidecar",
      join(example, "chart"),
      "--set=periodSeconds=30",
      "--wait",
      "--timeout=50s",
    );
    const ready = '{.items[0].status.conditions[?(@.type=="Ready")].lastTransitionTime}';
    const times = await kubectl.must([
      "get",
      "pods",
      "-o",
      `jsonpath={.items[0].metadata.creationTimestamp} ${ready}`,
    ]);
    const [created = 0, isReady = 0] = times.split(" ").map((time) => Date.parse(time) / 1000);
    // Both are cut to whole seconds.
    expect(isReady - created).toBeWithin(29, 32);
  },
  90_000,
);
