import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { kubectlPath, type KubectlVersion, runKubectl } from "../../testing/kubectl.ts";
import { idleKubelet, startTestApi, type TestApi } from "./api.test-support.ts";

const VERSIONS: readonly KubectlVersion[] = ["29", "35"];
const TEST_MS = 30_000;

function pod(name: string, image = "busybox"): string {
  return `apiVersion: v1
kind: Pod
metadata: { name: ${name}, labels: { app: ${name} } }
spec:
  containers:
  - { name: main, image: ${image}, ports: [{ containerPort: 80 }] }
  - { name: side, image: ${image} }
`;
}

function configMap(name: string, value: string): string {
  return `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: ${name}}\ndata: {key: "${value}"}\n`;
}

describe.each(VERSIONS)("kubectl 1.%s", (version) => {
  let api: TestApi;
  let env: Record<string, string>;
  let program: string;

  beforeAll(async () => {
    api = await startTestApi({
      kubelet: {
        ...idleKubelet,
        openLog: async (_, { container }) =>
          (async function* () {
            yield Buffer.from(`log of ${container}\n`);
          })(),
      },
    });
    env = api.kubectlEnv;
    program = await kubectlPath(version);
    finishDeletions();
  });

  afterAll(async () => {
    await api[Symbol.asyncDispose]();
  });

  async function run(
    args: readonly string[],
    { stdin = "", more = {} }: { stdin?: string; more?: Readonly<Record<string, string>> } = {},
  ) {
    return await runKubectl(program, args, { stdin, env: { ...env, ...more } });
  }

  async function must(line: string, stdin = ""): Promise<string> {
    const { code, out, err } = await run(line.split(" "), { stdin });
    if (code !== 0) throw new Error(`kubectl ${line} ended with ${code}: ${err}${out}`);
    return out;
  }

  /** What the kubelet would do. */
  async function setReady(name: string): Promise<void> {
    const conditions = [{ type: "Ready", status: "True" }];
    const { code, body } = await api.call(`/api/v1/namespaces/default/pods/${name}/status`, {
      method: "PATCH",
      body: { status: { phase: "Running", podIP: "10.0.0.7", conditions } },
      headers: { "Content-Type": "application/merge-patch+json" },
    });
    if (code !== 200) throw new Error(`PATCH of the status: ${JSON.stringify(body)}`);
  }

  /** What the kubelet does when the processes of a pod have ended. */
  function finishDeletions(): void {
    api.store.watch("pods", {}, ({ type, object }) => {
      if (type !== "MODIFIED" || object.metadata.deletionTimestamp === undefined) return;
      const { namespace = "", name = "" } = object.metadata;
      api.store.delete("pods", { namespace, name }, { gracePeriodSeconds: 0 });
    });
  }

  test(
    "version, api-resources and explain",
    async () => {
      expect(await must("version")).toContain("Server Version: v1.36.2+pillion");
      expect(await must("api-resources --api-group=apps -o name")).toContain("deployments.apps");
      expect(await must("explain configmap.data")).toContain("FIELD: data <map[string]string>");
    },
    TEST_MS,
  );

  test(
    "apply: created, unchanged, configured; diff says what would change",
    async () => {
      expect(await must("apply -f -", pod("applied"))).toBe("pod/applied created\n");
      expect(await must("apply -f -", pod("applied"))).toBe("pod/applied unchanged\n");
      const diff = await run(["diff", "-f", "-"], { stdin: pod("applied", "busybox:2") });
      expect(diff.code).toBe(1);
      expect(diff.out).toMatch(/^-  - image: busybox$/m);
      expect(diff.out).toMatch(/^\+  - image: busybox:2$/m);
      expect(await must("apply -f -", pod("applied", "busybox:2"))).toBe("pod/applied configured\n");
      expect((await run(["diff", "-f", "-"], { stdin: pod("applied", "busybox:2") })).code).toBe(0);
      expect(await must("apply --server-side -f -", configMap("ssa", "1"))).toBe(
        "configmap/ssa serverside-applied\n",
      );
      expect(await must("apply --dry-run=server -f -", configMap("dry", "1"))).toBe(
        "configmap/dry created (server dry run)\n",
      );
    },
    TEST_MS,
  );

  test(
    "create explains unknown fields, wrong types and names that are taken",
    async () => {
      const create = async (stdin: string) => (await run(["create", "-f", "-"], { stdin })).err;
      expect(await create(`${configMap("a", "1")}dat: {}\n`)).toContain(
        'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: unknown field "dat"',
      );
      expect(await create(configMap("a", "1").replaceAll('"', ""))).toContain(
        "json: cannot unmarshal number into Go struct field ConfigMap.data of type string",
      );
      await must("create -f -", configMap("twice", "1"));
      expect(await create(configMap("twice", "1"))).toContain(
        'Error from server (AlreadyExists): error when creating "STDIN": configmaps "twice" already exists',
      );
      const inert = await run(["create", "quota", "idle", "--hard=pods=1"]);
      expect(inert).toMatchObject({ code: 0, out: "resourcequota/idle created\n" });
      expect(inert.err).toContain(
        "Warning: pillion: ResourceQuota objects are stored, but nothing acts on them yet",
      );
    },
    TEST_MS,
  );

  test(
    "get prints tables, wide tables, YAML, JSON, names, paths and columns, by selector and in all namespaces",
    async () => {
      await must("create -f -", pod("shown"));
      await setReady("shown");
      expect(await must("get pod shown")).toMatch(
        /^NAME +READY +STATUS +RESTARTS +AGE\nshown +0\/2 +Running +0 +\d+s\n$/,
      );
      expect(await must("get pod shown -o wide")).toMatch(/10\.0\.0\.7 +node-1 +<none> +<none>\n$/);
      expect(await must("get pod -l app=shown -o name")).toBe("pod/shown\n");
      expect(await must("get pod shown -o jsonpath={.spec.nodeName}")).toBe("node-1");
      expect(JSON.parse(await must("get pod shown -o json"))).toMatchObject({ kind: "Pod" });
      expect(await must("get pod shown -o yaml")).toStartWith("apiVersion: v1\nkind: Pod\n");
      expect(
        await must("get pods -o custom-columns=N:.metadata.name --field-selector metadata.name=shown"),
      ).toBe("N\nshown\n");
      expect(await must("get pods -A --field-selector=status.phase=Running")).toMatch(
        /^NAMESPACE +NAME.*\ndefault +shown /,
      );
      expect(await must("get pods --show-labels -l app=shown")).toContain("app=shown");
      expect((await run(["get", "pod", "absent"])).err).toBe(
        'Error from server (NotFound): pods "absent" not found\n',
      );
    },
    TEST_MS,
  );

  test(
    "get -w follows changes, wait returns when the condition holds",
    async () => {
      await must("create -f -", pod("followed"));
      const watch = Bun.spawn([program, "get", "pod", "followed", "-w", "--no-headers"], {
        stdio: ["ignore", "pipe", "pipe"],
        env,
      });
      const waited = must("wait --for=condition=Ready pod/followed --timeout=20s");
      const seen: string[] = [];
      let rest = "";
      for await (const text of watch.stdout.pipeThrough(new TextDecoderStream())) {
        const lines = (rest + text).split("\n");
        rest = lines.pop() ?? "";
        if (seen.length === 0 && lines.length > 0) await setReady("followed");
        seen.push(...lines);
        if (seen.length > 1) break;
      }
      watch.kill();
      await watch.exited;
      expect(seen.map((line) => line.split(/ +/).slice(0, 3))).toEqual([
        ["followed", "0/2", "Pending"],
        ["followed", "0/2", "Running"],
      ]);
      expect(await waited).toBe("pod/followed condition met\n");
      const deleted = must("wait --for=delete pod/followed --timeout=20s");
      expect(await must("delete pod followed --grace-period=5")).toStartWith('pod "followed" deleted');
      await deleted;
    },
    TEST_MS,
  );

  test(
    "label, annotate, patch in three ways, and edit",
    async () => {
      await must("create -f -", pod("changed"));
      await must("label pod changed tier=web");
      await must("annotate pod changed note=x");
      await must(`patch pod changed -p {"metadata":{"labels":{"strategic":"1"}}}`);
      await must(`patch pod changed --type=merge -p {"metadata":{"labels":{"merge":"1"}}}`);
      await must(`patch pod changed --type=json -p [{"op":"remove","path":"/metadata/labels/app"}]`);
      const editor = join(env["HOME"] ?? "", "editor.sh");
      writeFileSync(editor, '#!/bin/sh\nsed -i "s/tier: web/tier: edited/" "$1"\n');
      chmodSync(editor, 0o755);
      const edited = await run(["edit", "pod", "changed"], { more: { KUBE_EDITOR: editor } });
      expect(edited).toMatchObject({ code: 0, out: "pod/changed edited\n" });
      expect(JSON.parse(await must("get pod changed -o jsonpath={.metadata}"))).toMatchObject({
        annotations: { note: "x" },
        labels: { merge: "1", strategic: "1", tier: "edited" },
      });
    },
    TEST_MS,
  );

  test(
    "delete waits, forces, takes many, and says what is missing",
    async () => {
      for (const name of ["gone-a", "gone-b", "gone-c"]) await must("create -f -", pod(name));
      expect(await must("delete pod gone-a --now")).toStartWith('pod "gone-a" deleted');
      expect(await must("delete pod gone-b --force --grace-period=0")).toStartWith(
        'pod "gone-b" force deleted',
      );
      expect(await must("delete pods -l app=gone-c")).toStartWith('pod "gone-c" deleted');
      expect((await run(["delete", "pod", "gone-a"])).err).toContain('pods "gone-a" not found');
      await must("create configmap many-a --from-literal=a=b");
      await must("create configmap many-b --from-literal=a=b");
      expect(await must("delete configmap many-a many-b")).toMatch(/many-a" deleted.*\n.*many-b" deleted/);
    },
    TEST_MS,
  );

  test(
    "logs, events, describe, auth and raw",
    async () => {
      await must("create -f -", pod("told"));
      expect(await must("logs told")).toBe("log of main\n");
      // kubectl asks for the containers in the order of a Go map: any.
      const all = await must("logs told --all-containers --prefix");
      expect(all.split("\n").toSorted()).toEqual([
        "",
        "[pod/told/main] log of main",
        "[pod/told/side] log of side",
      ]);
      expect(await must("events --for pod/told")).toContain("Successfully assigned default/told to node-1");
      expect(await must("describe pod told")).toMatch(
        /Normal +Scheduled +\S+ +default-scheduler +Successfully assigned/,
      );
      expect(await must("auth can-i delete pods")).toBe("yes\n");
      expect(await must("auth whoami -o jsonpath={.status.userInfo.username}")).toBe("kubernetes-admin");
      expect(await must("get --raw /readyz")).toBe("ok");
    },
    TEST_MS,
  );

  test(
    "a wrong token is told to log in",
    async () => {
      const { code, err } = await run(["--token=wrong", "get", "pods"]);
      expect(code).toBe(1);
      expect(err).toMatch(/Unauthorized|logged in/);
    },
    TEST_MS,
  );
});
