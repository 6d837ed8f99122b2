/** What kubectl shows of claims, and what Pods find in their volumes, with real processes. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { PillionHome } from "../../src/testing/pillion.ts";
import { type KubectlSession, openKubectl } from "./kubectl-session.ts";

const TEST_MS = 60_000;

let home: PillionHome;
let kubectl: KubectlSession;

function up(): Promise<unknown> {
  return home.mustRun(["up", "-d", "--images", join(home.path, "images.yaml")]);
}

beforeAll(async () => {
  home = new PillionHome();
  writeFileSync(join(home.path, "images.yaml"), "images: { busybox: host }\n");
  await up();
  kubectl = await openKubectl(home, { version: "35", namespace: "default" });
}, TEST_MS);

afterAll(async () => {
  await home[Symbol.asyncDispose]();
}, TEST_MS);

interface Wanted {
  readonly container?: object;
  readonly spec?: object;
}

/** One container that runs `script` once. */
function pod(name: string, script: string, { container, spec }: Wanted = {}): string {
  const main = { name: "main", image: "busybox", command: ["sh", "-c", script], ...container };
  const whole = { restartPolicy: "Never", terminationGracePeriodSeconds: 2, containers: [main], ...spec };
  return JSON.stringify({ apiVersion: "v1", kind: "Pod", metadata: { name }, spec: whole });
}

/** Runs it to its end; what it has written. */
async function outputOf(name: string, manifest: string): Promise<string> {
  await kubectl.must(["create", "-f", "-"], manifest);
  await kubectl.must(["wait", "--for=jsonpath={.status.phase}=Succeeded", `pod/${name}`, "--timeout=30s"]);
  return kubectl.must(["logs", name]);
}

function claim(name: string, spec: object = {}): string {
  const resources = { requests: { storage: "1Gi" } };
  return JSON.stringify({
    apiVersion: "v1",
    kind: "PersistentVolumeClaim",
    metadata: { name },
    spec: { accessModes: ["ReadWriteOnce"], resources, ...spec },
  });
}

const onClaim = (claimName: string) => ({
  container: { volumeMounts: [{ name: "data", mountPath: "/data" }] },
  spec: { volumes: [{ name: "data", persistentVolumeClaim: { claimName } }] },
});

/** Folders of claims on the node. */
function folders(): string[] {
  const path = join(home.path, "state/default/node/var/lib/pillion/volumes");
  return existsSync(path) ? readdirSync(path) : [];
}

function withoutAge(table: string): string[][] {
  return table
    .trim()
    .split("\n")
    .map((line) => line.trim().split(/ {2,}/).slice(0, -1));
}

test(
  "a claim keeps what one Pod has written for the next one, also over `down --keep-state`, and goes with it [V25]",
  async () => {
    const fields = "jsonpath={.spec.storageClassName} {.metadata.finalizers[0]}";
    expect(await kubectl.must(["create", "-f", "-", "-o", fields], claim("data"))).toBe(
      "standard kubernetes.io/pvc-protection",
    );
    await kubectl.must(["wait", "--for=jsonpath={.status.phase}=Bound", "pvc/data", "--timeout=10s"]);
    const [header, row] = withoutAge(await kubectl.must(["get", "pvc", "data"]));
    expect(header?.slice(0, 6)).toEqual([
      "NAME",
      "STATUS",
      "VOLUME",
      "CAPACITY",
      "ACCESS MODES",
      "STORAGECLASS",
    ]);
    const volume = row?.[2] ?? "";
    expect(row?.slice(0, 6)).toEqual(["data", "Bound", volume, "1Gi", "RWO", "standard"]);
    expect((await kubectl.must(["get", "pv", volume, "--no-headers"])).split(/ {2,}/).slice(1, 7)).toEqual([
      "1Gi",
      "RWO",
      "Delete",
      "Bound",
      "default/data",
      "standard",
    ]);
    expect((await kubectl.must(["get", "sc", "--no-headers"])).split(/ {2,}/).slice(0, 4)).toEqual([
      "standard (default)",
      "pillion.dev/local",
      "Delete",
      "Immediate",
    ]);
    await outputOf("writer", pod("writer", "echo kept > /data/file", onClaim("data")));
    await kubectl.must(["delete", "pod", "writer"]);
    await home.mustRun(["down", "--keep-state"]);
    await up();
    expect(await outputOf("reader", pod("reader", "cat /data/file", onClaim("data")))).toBe("kept\n");
    await kubectl.must(["delete", "pvc", "data", "--wait=false"]);
    expect(await kubectl.must(["get", "pvc", "data", "--no-headers"])).toContain("Terminating");
    expect(folders()).toHaveLength(1);
    await kubectl.must(["delete", "pod", "reader"]);
    await kubectl.must(["wait", "--for=delete", "pvc/data", `pv/${volume}`, "--timeout=10s"]);
    expect(folders()).toEqual([]);
  },
  TEST_MS,
);

test(
  "a Pod waits for its claim with the scheduler's words, and starts when it is bound [V25]",
  async () => {
    await kubectl.must(["create", "-f", "-"], pod("early", "cat /data/none || echo empty", onClaim("late")));
    const events = ["events", "--for=pod/early"];
    expect(await kubectl.must(events)).toContain('persistentvolumeclaim "late" not found');
    await kubectl.must(["create", "-f", "-"], claim("late", { storageClassName: "none-such" }));
    expect(await kubectl.must(events)).toContain("pod has unbound immediate PersistentVolumeClaims");
    expect(await kubectl.must(["describe", "pvc", "late"])).toContain(
      'storageclass.storage.k8s.io "none-such" not found',
    );
    await kubectl.must(["delete", "pvc", "late"]);
    await kubectl.must(["create", "-f", "-"], claim("late"));
    await kubectl.must(["wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/early", "--timeout=30s"]);
    expect(await kubectl.must(["logs", "early"])).toContain("empty");
  },
  TEST_MS,
);

test(
  "a generic ephemeral volume is a claim that comes and goes with its Pod [V25]",
  async () => {
    const template = {
      spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Mi" } } },
    };
    const spec = { volumes: [{ name: "tmp", ephemeral: { volumeClaimTemplate: template } }] };
    const container = { volumeMounts: [{ name: "tmp", mountPath: "/tmp/x" }] };
    const script = "echo x > /tmp/x/f; cat /tmp/x/f";
    expect(await outputOf("eph", pod("eph", script, { container, spec }))).toBe("x\n");
    expect(await kubectl.must(["get", "pvc", "-o", "name"])).toContain("persistentvolumeclaim/eph-tmp");
    await kubectl.must(["delete", "pod", "eph"]);
    await kubectl.must(["wait", "--for=delete", "pvc/eph-tmp", "--timeout=10s"]);
  },
  TEST_MS,
);

test(
  "a claim grows, and neither shrinks nor changes otherwise",
  async () => {
    await kubectl.must(["create", "-f", "-"], claim("grows"));
    await kubectl.must(["wait", "--for=jsonpath={.status.phase}=Bound", "pvc/grows", "--timeout=10s"]);
    const patch = (spec: object) =>
      kubectl.run(["patch", "pvc", "grows", "--type=merge", "-p", JSON.stringify({ spec })]);
    expect((await patch({ resources: { requests: { storage: "2Gi" } } })).code).toBe(0);
    await kubectl.must([
      "wait",
      "--for=jsonpath={.status.capacity.storage}=2Gi",
      "pvc/grows",
      "--timeout=10s",
    ]);
    expect((await patch({ resources: { requests: { storage: "1Mi" } } })).stderr).toContain(
      "field can not be less than status.capacity",
    );
    expect((await patch({ accessModes: ["ReadWriteMany"] })).stderr).toContain(
      "spec is immutable after creation except resources.requests",
    );
  },
  TEST_MS,
);

test(
  "a projected token is a JWT of the Pod's service account, for the audience that was asked for [V15]",
  async () => {
    const source = { path: "token", audience: "vault", expirationSeconds: 600 };
    const script = "cat /t/token; echo; stat -Lc %a /t/token";
    const output = await outputOf(
      "token",
      pod("token", script, {
        container: { volumeMounts: [{ name: "t", mountPath: "/t" }] },
        spec: { volumes: [{ name: "t", projected: { sources: [{ serviceAccountToken: source }] } }] },
      }),
    );
    const [token = "", mode] = output.split("\n");
    const claims = JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString()) as Record<
      string,
      unknown
    >;
    const uid = await kubectl.must(["get", "pod", "token", "-o", "jsonpath={.metadata.uid}"]);
    expect(mode).toBe("644");
    expect(claims).toMatchObject({
      aud: ["vault"],
      sub: "system:serviceaccount:default:default",
      "kubernetes.io": { namespace: "default", pod: { name: "token", uid } },
    });
    expect(Number(claims["exp"]) - Number(claims["iat"])).toBe(600);
  },
  TEST_MS,
);
