/** Charts as real helm 3.17 and 4.1 install, wait for, test, change and remove them. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { PillionHome } from "../../src/testing/pillion.ts";
import { type HelmSession, type HelmVersion, openHelm } from "./helm-session.ts";
import { type KubectlSession, openKubectl } from "./kubectl-session.ts";

const TEST_MS = 60_000;
const VERSIONS: readonly HelmVersion[] = ["3.17", "4.1"];
const SHOP = join(import.meta.dirname, "charts/shop");
const WAIT = ["--wait", "--timeout=30s"];

const PATH = `${process.env["PATH"]}:/usr/sbin`;
const hasPrograms = ["nginx", "wget"].every((name) => Bun.which(name, { PATH }) !== null);
/** Runs as any user: nothing below /var/lib, no other user for the workers. */
const NGINX = `user root;
error_log /dev/stderr;
pid /tmp/nginx.pid;
events {}
http {
  access_log off;
  client_body_temp_path /tmp/body; proxy_temp_path /tmp/proxy; fastcgi_temp_path /tmp/fastcgi;
  uwsgi_temp_path /tmp/uwsgi; scgi_temp_path /tmp/scgi;
  server { listen 80; location / { return 200 "welcome"; } }
}
`;
const IMAGES = `images:
  busybox: host
  nginx:
    host: { command: [nginx, -g, "daemon off;"], copy: { ./nginx.conf: /etc/nginx/nginx.conf } }
`;

let home: PillionHome;

beforeAll(async () => {
  home = new PillionHome();
  writeFileSync(join(home.path, "nginx.conf"), NGINX);
  writeFileSync(join(home.path, "images.yaml"), IMAGES);
  await home.mustRun(["up", "-d", "--images", join(home.path, "images.yaml")]);
}, TEST_MS);

afterAll(async () => {
  await home[Symbol.asyncDispose]();
}, TEST_MS);

interface Tools {
  readonly helm: HelmSession;
  readonly kubectl: KubectlSession;
  /** Helm 4 applies on the server's side and waits by other rules. */
  readonly isFour: boolean;
}

/** In a namespace of their own, which the first `helm install --create-namespace` makes. */
async function openTools(version: HelmVersion, name: string): Promise<Tools> {
  const namespace = `${name}-${version.replace(".", "-")}`;
  const helm = await openHelm(home, { version, namespace });
  const kubectl = await openKubectl(home, { version: "35", namespace });
  return { helm, kubectl, isFour: version === "4.1" };
}

/** A test of every version at once: most of the time they wait. */
function withEachHelm(name: string, scenario: (tools: Tools) => Promise<void>): () => Promise<void> {
  return async () => {
    const runs = VERSIONS.map(async (version) => await scenario(await openTools(version, name)));
    for (const [index, run] of (await Promise.allSettled(runs)).entries())
      if (run.status === "rejected") throw new Error(`with helm ${VERSIONS[index]}`, { cause: run.reason });
  };
}

async function history({ helm }: Tools, release: string): Promise<string[]> {
  const revisions: { revision: number; status: string; description: string }[] = JSON.parse(
    await helm.must(["history", release, "-o", "json"]),
  );
  return revisions.map(({ revision, status, description }) => `${revision} ${status}: ${description}`);
}

async function greeting({ kubectl }: Tools, release: string): Promise<string> {
  return await kubectl.must(["get", "cm", `${release}-config`, "-o", "jsonpath={.data}"]);
}

async function jobs({ kubectl }: Tools): Promise<string[]> {
  return (await kubectl.must(["get", "jobs", "-o", "name"])).split("\n").filter(Boolean);
}

/** What Jobs did, in order. */
async function jobEvents({ kubectl }: Tools): Promise<string[]> {
  const columns = "custom-columns=N:.involvedObject.name,R:.reason";
  const selector = "--field-selector=involvedObject.kind=Job";
  const sorted = ["--sort-by=.metadata.resourceVersion", "--no-headers", "-o", columns];
  const lines = await kubectl.must(["get", "events", selector, ...sorted]);
  return lines
    .trim()
    .split("\n")
    .map((line) => line.replace(/ +/, " "));
}

test(
  "installs a chart with a subchart, a Job and hooks in their order, is told of everything, upgrades, goes back and uninstalls",
  withEachHelm("life", async (tools) => {
    const { helm, kubectl, isFour } = tools;
    const options = ["--create-namespace", "--wait-for-jobs", ...WAIT];
    const installed = await helm.must(["install", "s", SHOP, ...options]);
    expect(installed).toContain("STATUS: deployed\nREVISION: 1\n");
    expect(installed).toContain("s says hello.");
    expect(
      await kubectl.must(["get", "deploy/s", "statefulset/s-cache", "job/s-import", "-o", "wide"]),
    ).toMatch(/s +2\/2 +2 +2 .*\n[^]*s-cache +1\/1 .*\n[^]*s-import +Complete +1\/1/);
    expect(await jobEvents(tools)).toEqual(
      ["s-migrate-1", "s-migrate-2", "s-import", "s-announce"].flatMap((name) => [
        `${name} SuccessfulCreate`,
        `${name} Completed`,
      ]),
    );
    // "hook-succeeded" has removed the others.
    expect(await jobs(tools)).toEqual(["job.batch/s-import", "job.batch/s-migrate-2"]);
    expect(JSON.parse(await helm.must(["list", "-o", "json"]))).toMatchObject([
      {
        name: "s",
        namespace: helm.namespace,
        revision: "1",
        status: "deployed",
        chart: "shop-0.1.0",
        app_version: "1",
      },
    ]);
    const all = await helm.must(["get", "all", "s"]);
    expect(all).toContain("# Source: shop/charts/cache/templates/stateful-set.yaml");
    expect(all).toContain("helm.sh/hook: pre-install,pre-upgrade");
    expect(await helm.must(["get", "manifest", "s"])).toContain("# Source: shop/templates/deployment.yaml");
    const status = await helm.must(["status", "s", ...(isFour ? [] : ["--show-resources"])]);
    expect(status).toMatch(/==> v1\/Deployment\nNAME +READY +UP-TO-DATE +AVAILABLE +AGE\ns +2\/2 +2 +2 /);
    expect(await helm.must(["test", "s", "--logs"])).toMatch(/Phase: +Succeeded[^]*greeting: hello/);
    const before = await kubectl.must(["get", "job/s-migrate-2", "-o", "jsonpath={.metadata.uid}"]);
    await helm.must(["upgrade", "s", SHOP, "--set", "greeting=hi,cache.enabled=false", ...WAIT]);
    expect(await helm.must(["get", "values", "s"])).toBe(
      "USER-SUPPLIED VALUES:\ncache:\n  enabled: false\ngreeting: hi\n",
    );
    // "lookup" sees what was there; "before-hook-creation" makes the Job anew.
    expect(await greeting(tools, "s")).toBe('{"before":"hello","greeting":"hi"}');
    expect(await kubectl.must(["get", "job/s-migrate-2", "-o", "jsonpath={.metadata.uid}"])).not.toBe(before);
    expect((await kubectl.run(["get", "statefulset/s-cache"])).stderr).toBe(
      'Error from server (NotFound): statefulsets.apps "s-cache" not found\n',
    );
    const tested = await helm.run(["test", "s"]);
    expect({ code: tested.code, says: /pod s-test failed/.test(tested.stderr) }).toEqual({
      code: 1,
      says: true,
    });
    await helm.must(["rollback", "s", "1", ...WAIT]);
    expect(await greeting(tools, "s")).toBe('{"before":"nothing","greeting":"hello"}');
    expect(await history(tools, "s")).toEqual([
      "1 superseded: Install complete",
      "2 superseded: Upgrade complete",
      "3 deployed: Rollback to 1",
    ]);
    expect(await helm.must(["uninstall", "s", ...WAIT])).toContain('release "s" uninstalled');
    // Hooks that no policy removes stay, and so do the claims of a StatefulSet.
    expect(await jobs(tools)).toEqual(["job.batch/s-migrate-2"]);
    expect(await kubectl.must(["get", "deploy,statefulset,service,pvc", "-o", "name"])).toBe(
      "persistentvolumeclaim/data-s-cache-0\n",
    );
  }),
  TEST_MS,
);

test(
  "says which hook, which Deployment and which Job failed, in its own words",
  withEachHelm("failing", async ({ helm, isFour }) => {
    const refused = async (...args: readonly string[]) =>
      (await helm.run(["install", ...args])).stderr.trim();
    expect(
      await refused("hook", SHOP, "--create-namespace", "--set", "migrate=exit 3", "--timeout=20s"),
    ).toBe(
      isFour
        ? `Error: INSTALLATION FAILED: failed pre-install: resource Job/${helm.namespace}/hook-migrate-2 not ready. status: Failed, message: Job Failed. failed: 1/1`
        : "Error: INSTALLATION FAILED: failed pre-install: 1 error occurred:\n\t* job hook-migrate-2 failed: BackoffLimitExceeded",
    );
    const slow = await refused("slow", SHOP, "--set", "ready=false", "--wait", "--timeout=5s");
    const unready = `Deployment/${helm.namespace}/slow not ready\\. status: InProgress, message: `;
    expect(slow).toMatch(
      isFour
        ? new RegExp(`^Error: INSTALLATION FAILED: [^]*${unready}[^]*\ncontext deadline exceeded$`)
        : /^Error: INSTALLATION FAILED: context deadline exceeded$/,
    );
    // Helm 3 waits for what has failed until its time is over.
    const wait = ["--wait", "--wait-for-jobs", `--timeout=${isFour ? 30 : 5}s`];
    expect(await refused("job", SHOP, "--set", "import=exit 3", ...wait)).toBe(
      isFour
        ? `Error: INSTALLATION FAILED: resource Job/${helm.namespace}/job-import not ready. status: Failed, message: Job Failed. failed: 1/1`
        : "Error: INSTALLATION FAILED: context deadline exceeded",
    );
    await helm.must(["uninstall", "hook", "slow", "job"]);
  }),
  TEST_MS,
);

test(
  "goes back by itself, to before an upgrade and to nothing",
  withEachHelm("undone", async (tools) => {
    const { helm, kubectl, isFour } = tools;
    await helm.must(["install", "a", SHOP, "--create-namespace", "--no-hooks", ...WAIT]);
    const atomic = isFour ? "--rollback-on-failure" : "--atomic";
    const never = ["--set", "ready=false,greeting=hi", atomic, "--no-hooks", "--timeout=5s"];
    const upgrade = await helm.run(["upgrade", "a", SHOP, ...never]);
    expect(upgrade.stderr).toContain(
      `Error: UPGRADE FAILED: release a failed, and has been rolled back due to ${atomic.slice(2)} being set: `,
    );
    expect(await history(tools, "a")).toEqual([
      "1 superseded: Install complete",
      expect.stringMatching(/^2 failed: Upgrade "a" failed: [^]*context deadline exceeded$/),
      "3 deployed: Rollback to 1",
    ]);
    expect(await kubectl.must(["rollout", "status", "deploy/a"])).toBe(
      'deployment "a" successfully rolled out\n',
    );
    const install = await helm.run(["install", "b", SHOP, ...never]);
    expect(install.stderr).toContain(
      `release b failed, and has been uninstalled due to ${atomic.slice(2)} being set: `,
    );
    expect(await kubectl.must(["get", "deploy", "-o", "name"])).toBe("deployment.apps/a\n");
  }),
  TEST_MS,
);

test(
  "is refused what cannot change; a dry run changes nothing; what somebody else has changed is overwritten by helm 3, and a conflict for helm 4",
  withEachHelm("changed", async (tools) => {
    const { helm, kubectl, isFour } = tools;
    await helm.must(["install", "a", SHOP, "--create-namespace", "--no-hooks", ...WAIT]);
    const immutable = await helm.run(["upgrade", "a", SHOP, "--no-hooks", "--set", "selector.tier=web"]);
    expect(immutable.stderr).toContain(
      'Deployment.apps "a" is invalid: spec.selector: Invalid value: {"matchLabels":{"app":"a","tier":"web"}}: field is immutable',
    );
    const before = await greeting(tools, "a");
    const dry = async (how: string) =>
      /^ {2}before: (.*)$/m.exec(await helm.must(["upgrade", "a", SHOP, "--set", "greeting=x", how]))?.[1];
    expect([await dry("--dry-run=server"), await dry("--dry-run=client")]).toEqual(['"hello"', '"nothing"']);
    expect(await greeting(tools, "a")).toBe(before);
    const mine = '{"data":{"greeting":"mine"}}';
    await kubectl.must(["patch", "cm", "a-config", "--type=merge", "-p", mine, "--field-manager=me"]);
    const upgrade = ["upgrade", "a", SHOP, "--no-hooks", "--set", "greeting=new"];
    if (isFour) {
      expect((await helm.run(upgrade)).stderr).toContain(
        'Apply failed with 1 conflict: conflict with "me" using v1: .data.greeting',
      );
      expect(await greeting(tools, "a")).toContain('"greeting":"mine"');
    }
    await helm.must([...upgrade, ...(isFour ? ["--force-conflicts"] : [])]);
    expect(await greeting(tools, "a")).toBe('{"before":"mine","greeting":"new"}');
    await helm.must(["uninstall", "a"]);
  }),
  TEST_MS,
);

test(
  "prints what kubectl applies",
  withEachHelm("printed", async ({ helm, kubectl }) => {
    await kubectl.must(["create", "namespace", kubectl.namespace]);
    const manifests = await helm.must(["template", "t", SHOP, "--no-hooks"]);
    const applied = await kubectl.must(["apply", "-f", "-"], manifests);
    expect(applied).toContain("statefulset.apps/t-cache created\n");
    await kubectl.must(["rollout", "status", "deploy/t", "--timeout=20s"]);
    await kubectl.must(["delete", "-f", "-"], manifests);
  }),
  TEST_MS,
);

test.skipIf(!hasPrograms)(
  "installs the chart of `helm create`, and its test reaches nginx by the Service's name",
  withEachHelm("own", async ({ helm, kubectl, isFour }) => {
    const chart = join(home.path, `web-${isFour ? "four" : "three"}`);
    await helm.must(["create", chart]);
    await helm.must(["install", "d", chart, "--create-namespace", ...WAIT]);
    // What else the chart can make: only stored, or an address on this machine.
    const more = ["autoscaling.enabled=true", "ingress.enabled=true", "service.type=LoadBalancer"];
    await helm.must(["upgrade", "d", chart, "--set", more.join(), ...WAIT]);
    const ingress = "jsonpath={.items[*].status.loadBalancer.ingress[0].ip}";
    expect(await kubectl.must(["get", "services", "-o", ingress])).toMatch(/^127\./);
    expect(await helm.must(["test", "d"])).toMatch(/Phase: +Succeeded/);
    await helm.must(["uninstall", "d", ...WAIT]);
  }),
  TEST_MS,
);
