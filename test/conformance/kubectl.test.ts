/** What users do with kubectl, done with the real binaries against a real cluster with real processes. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { KubectlVersion } from "../../src/testing/kubectl.ts";
import { PillionHome } from "../../src/testing/pillion.ts";
import { type KubectlSession, openKubectl } from "./kubectl-session.ts";

const VERSIONS: readonly KubectlVersion[] = ["29", "31", "33", "35"];
const TEST_MS = 60_000;

/** A pod whose containers say a few lines and then wait, so that they end at once on SIGTERM. */
function talker(name: string, labels = "app: talker"): string {
  return `apiVersion: v1
kind: Pod
metadata: { name: ${name}, labels: { ${labels} } }
spec:
  terminationGracePeriodSeconds: 5
  containers:
  - name: main
    image: busybox
    command: [sh, -c, "trap 'exit 0' TERM; for i in 1 2 3; do echo main $i; done; sleep 1000 & wait"]
  - name: side
    image: busybox
    command: [sh, -c, "trap 'exit 0' TERM; echo side 1; echo side err >&2; sleep 1000 & wait"]
`;
}

let home: PillionHome;

beforeAll(async () => {
  home = new PillionHome();
  writeFileSync(join(home.path, "images.yaml"), "images: { busybox: host }\n");
  await home.mustRun(["up", "-d", "--images", join(home.path, "images.yaml")]);
}, TEST_MS);

afterAll(async () => {
  await home[Symbol.asyncDispose]();
}, TEST_MS);

describe.each(VERSIONS)("kubectl 1.%s", (version) => {
  let kubectl: KubectlSession;

  beforeAll(async () => {
    kubectl = await openKubectl(home, { version, namespace: `v${version}` });
    await kubectl.must(["create", "namespace", `v${version}`]);
    await kubectl.must(["apply", "-f", "-"], talker("talker"));
    await kubectl.must(["wait", "--for=condition=Ready", "pod/talker", "--timeout=30s"]);
  }, TEST_MS);

  test(
    "version, api-resources, api-versions and explain",
    async () => {
      expect(await kubectl.must(["version"])).toContain("Server Version: v1.36");
      expect(await kubectl.must(["api-resources"])).toMatch(/^pods +po +v1 +true +Pod$/m);
      expect(await kubectl.must(["api-versions"])).toMatch(/^apps\/v1$/m);
      const explained = await kubectl.must(["explain", "pod.spec.containers.image"]);
      expect(explained).toMatch(/FIELD: image <string>/);
      expect(explained).toMatch(/DESCRIPTION:\n +Container image name/);
    },
    TEST_MS,
  );

  test(
    "apply creates, finds nothing to change, and changes",
    async () => {
      const manifest = (value: string) =>
        `apiVersion: v1\nkind: ConfigMap\nmetadata: { name: settings }\ndata: { key: ${value} }\n`;
      const apply = (value: string) => kubectl.must(["apply", "-f", "-"], manifest(value));
      expect(await apply("a")).toBe("configmap/settings created\n");
      expect(await apply("a")).toBe("configmap/settings unchanged\n");
      const diff = await kubectl.run(["diff", "-f", "-"], manifest("b"));
      expect({ code: diff.code, shows: /^\+ +key: b$/m.test(diff.stdout) }).toEqual({ code: 1, shows: true });
      expect(await apply("b")).toBe("configmap/settings configured\n");
      expect(await kubectl.must(["get", "cm", "settings", "-o", "jsonpath={.data.key}"])).toBe("b");
      expect((await kubectl.run(["diff", "-f", "-"], manifest("b"))).code).toBe(0);
    },
    TEST_MS,
  );

  test(
    "apply finds nothing to change in a running pod",
    async () => {
      expect(await kubectl.must(["apply", "-f", "-"], talker("talker"))).toBe("pod/talker unchanged\n");
      expect((await kubectl.run(["diff", "-f", "-"], talker("talker"))).stdout).toBe("");
    },
    TEST_MS,
  );

  test(
    "create refuses what is wrong, with the real server's words",
    async () => {
      const bad = talker("bad").replace("image: busybox", "imagee: busybox");
      const { code, stderr } = await kubectl.run(["create", "-f", "-"], bad);
      expect(code).toBe(1);
      expect(stderr).toContain('strict decoding error: unknown field "spec.containers[0].imagee"');
      const typed = await kubectl.run(
        ["create", "-f", "-"],
        talker("bad").replace("terminationGracePeriodSeconds: 5", "terminationGracePeriodSeconds: soon"),
      );
      expect(typed.stderr).toContain("cannot unmarshal string into Go struct field");
      const invalid = await kubectl.run(["create", "-f", "-"], talker("Bad_Name"));
      expect(invalid.stderr).toContain(
        'The Pod "Bad_Name" is invalid: metadata.name: Invalid value: "Bad_Name"',
      );
      const again = await kubectl.run(["create", "-f", "-"], talker("talker"));
      expect(again.stderr).toContain('pods "talker" already exists');
    },
    TEST_MS,
  );

  test(
    "create makes objects from flags",
    async () => {
      expect(await kubectl.must(["create", "configmap", "made", "--from-literal=a=1"])).toBe(
        "configmap/made created\n",
      );
      expect(await kubectl.must(["create", "secret", "generic", "hidden", "--from-literal=p=s3"])).toBe(
        "secret/hidden created\n",
      );
      expect(await kubectl.must(["get", "secret", "hidden", "-o", "jsonpath={.data.p}"])).toBe("czM=");
    },
    TEST_MS,
  );

  test(
    "get prints tables, names, fields and whole objects",
    async () => {
      expect(await kubectl.must(["get", "pods"])).toMatch(
        /^NAME +READY +STATUS +RESTARTS +AGE\ntalker +2\/2 +Running +0 +\d+s\n/,
      );
      expect(await kubectl.must(["get", "pods", "-o", "wide"])).toMatch(
        /IP +NODE +NOMINATED NODE +READINESS GATES\n.*10\.244\./,
      );
      expect(await kubectl.must(["get", "pods", "-o", "name"])).toContain("pod/talker\n");
      expect(await kubectl.must(["get", "pod", "talker", "-o", "yaml"])).toMatch(/^ {2}phase: Running$/m);
      const json = JSON.parse(await kubectl.must(["get", "pods", "-o", "json"])) as { kind: string };
      expect(json.kind).toBe("List");
      expect(await kubectl.must(["get", "pods", "-l", "app=talker", "-o", "name"])).toBe("pod/talker\n");
      expect(await kubectl.must(["get", "pods", "-l", "app notin (talker)", "-o", "name"])).toBe("");
      const running = ["get", "pods", "--field-selector", "status.phase=Running", "-o", "name"];
      expect(await kubectl.must(running)).toContain("pod/talker\n");
      expect(await kubectl.must(["get", "pods", "-A"])).toMatch(new RegExp(`^v${version} +talker +2/2`, "m"));
      expect(await kubectl.must(["get", "nodes"])).toMatch(/Ready/);
      expect((await kubectl.run(["get", "pod", "nobody"])).stderr).toBe(
        'Error from server (NotFound): pods "nobody" not found\n',
      );
    },
    TEST_MS,
  );

  test(
    "get -w shows changes as they happen",
    async () => {
      const watch = kubectl.start(["get", "configmaps", "-w", "-o", "name"]);
      await watch.line(/configmap\/kube-root-ca\.crt/);
      await kubectl.must(["create", "configmap", "watched"]);
      expect(await watch.line(/configmap\/watched/)).toBe("configmap/watched");
      watch.kill("SIGTERM");
      await watch.exited;
    },
    TEST_MS,
  );

  test(
    "describe shows the pod and its events",
    async () => {
      const text = await kubectl.must(["describe", "pod", "talker"]);
      for (const part of [
        /^Status: +Running$/m,
        /^IP: +10\.244\./m,
        /Container ID: +pillion:\/\//,
        /Normal +Started/,
      ]) {
        expect(text).toMatch(part);
      }
      const node = (await kubectl.must(["get", "nodes", "-o", "name"])).trim();
      expect(await kubectl.must(["describe", node])).toMatch(/^Capacity:$/m);
    },
    TEST_MS,
  );

  test(
    "logs: one container, all, tail, since, timestamps, prefix",
    async () => {
      expect(await kubectl.must(["logs", "talker"])).toBe("main 1\nmain 2\nmain 3\n");
      expect(await kubectl.must(["logs", "talker", "-c", "side"])).toContain("side 1\n");
      expect(await kubectl.must(["logs", "talker", "--tail=1"])).toBe("main 3\n");
      expect(await kubectl.must(["logs", "talker", "--since=1h"])).toBe("main 1\nmain 2\nmain 3\n");
      expect(await kubectl.must(["logs", "talker", "--timestamps", "--tail=1"])).toMatch(
        /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+(Z|[-+]\d\d:\d\d) main 3\n$/,
      );
      const all = await kubectl.must(["logs", "talker", "--all-containers", "--prefix"]);
      expect(all).toContain("[pod/talker/main] main 1\n");
      expect(all).toContain("[pod/talker/side] side 1\n");
      expect((await kubectl.run(["logs", "talker", "-c", "nobody"])).stderr).toContain(
        "container nobody is not valid for pod talker",
      );
    },
    TEST_MS,
  );

  test(
    "logs -f follows until the container ends; --previous shows the instance before",
    async () => {
      const script = "echo instance; sleep 0.2; exit 3";
      const pod = `apiVersion: v1\nkind: Pod\nmetadata: { name: crash }\nspec:\n  containers:\n  - { name: main, image: busybox, command: [sh, -c, "${script}"] }\n`;
      await kubectl.must(["apply", "-f", "-"], pod);
      const previous = [
        "wait",
        "--for=jsonpath={.status.containerStatuses[0].restartCount}=1",
        "pod/crash",
        "--timeout=30s",
      ];
      await kubectl.must(previous);
      expect(await kubectl.must(["logs", "crash", "--previous"])).toBe("instance\n");
      expect(await kubectl.must(["logs", "crash", "-f"])).toBe("instance\n");
      await kubectl.must([
        "wait",
        "--for=jsonpath={.status.containerStatuses[0].state.waiting.reason}=CrashLoopBackOff",
        "pod/crash",
        "--timeout=30s",
      ]);
      const text = await kubectl.must(["describe", "pod", "crash"]);
      expect(text).toMatch(/Exit Code: +3/);
      expect(text).toMatch(/Warning +BackOff .*Back-off restarting failed container/);
      await kubectl.must(["delete", "pod", "crash", "--now"]);
    },
    TEST_MS,
  );

  test(
    "label, annotate, patch and edit change the object",
    async () => {
      await kubectl.must(["create", "configmap", "changing", "--from-literal=a=1"]);
      expect(await kubectl.must(["label", "cm", "changing", "tier=web"])).toBe(
        "configmap/changing labeled\n",
      );
      expect(await kubectl.must(["annotate", "cm", "changing", "note=hello"])).toBe(
        "configmap/changing annotated\n",
      );
      await kubectl.must(["patch", "cm", "changing", "--type=merge", "-p", '{"data":{"b":"2"}}']);
      await kubectl.must(["patch", "cm", "changing", "-p", '{"data":{"c":"3"}}']);
      await kubectl.must([
        "patch",
        "cm",
        "changing",
        "--type=json",
        "-p",
        '[{"op":"remove","path":"/data/a"}]',
      ]);
      const editing = await openKubectl(home, {
        version,
        namespace: kubectl.namespace,
        env: { KUBE_EDITOR: "sed -i s/hello/bye/" },
      });
      expect(await editing.must(["edit", "cm", "changing"])).toBe("configmap/changing edited\n");
      const { data, metadata } = JSON.parse(await kubectl.must(["get", "cm", "changing", "-o", "json"])) as {
        data: object;
        metadata: { labels: object; annotations: object };
      };
      expect({ data, labels: metadata.labels, annotations: metadata.annotations }).toEqual({
        data: { b: "2", c: "3" },
        labels: { tier: "web" },
        annotations: { note: "bye" },
      });
    },
    TEST_MS,
  );

  test(
    "a pod's fields that may not change are refused, its labels are not",
    async () => {
      const { code, stderr } = await kubectl.run([
        "patch",
        "pod",
        "talker",
        "-p",
        '{"spec":{"hostname":"x"}}',
      ]);
      expect({ code, forbidden: stderr.includes("pod updates may not change fields other than") }).toEqual({
        code: 1,
        forbidden: true,
      });
      await kubectl.must(["label", "pod", "talker", "seen=yes", "--overwrite"]);
    },
    TEST_MS,
  );

  test(
    "delete: with grace, now, force, and wait",
    async () => {
      for (const name of ["d1", "d2", "d3"])
        await kubectl.must(["apply", "-f", "-"], talker(name, "app: doomed"));
      await kubectl.must(["wait", "--for=condition=Ready", "pod", "-l", "app=doomed", "--timeout=30s"]);
      expect(await kubectl.must(["delete", "pod", "d1", "--grace-period=3"])).toMatch(/^pod "d1" deleted/);
      expect(await kubectl.must(["delete", "pod", "d2", "--now"])).toMatch(/^pod "d2" deleted/);
      expect(await kubectl.must(["delete", "pod", "d3", "--force"])).toMatch(/^pod "d3" force deleted/);
      expect(await kubectl.must(["get", "pods", "-l", "app=doomed", "-o", "name"])).toBe("");
      await kubectl.must(["apply", "-f", "-"], talker("d4"));
      const wait = kubectl.start(["wait", "--for=delete", "pod/d4", "--timeout=30s"]);
      await kubectl.must(["delete", "pod", "d4", "--wait=false"]);
      expect((await wait.exited).code).toBe(0);
    },
    TEST_MS,
  );

  test(
    "events are listed",
    async () => {
      expect(await kubectl.must(["events"])).toMatch(/Normal +Started +Pod\/talker/);
      expect(await kubectl.must(["get", "events"])).toMatch(/LAST SEEN +TYPE +REASON +OBJECT +MESSAGE/);
    },
    TEST_MS,
  );

  test(
    "kinds that nothing acts on are stored, listed and described, with a warning",
    async () => {
      const spec = { podSelector: {} };
      const policy = {
        apiVersion: "networking.k8s.io/v1",
        kind: "NetworkPolicy",
        metadata: { name: "np" },
        spec,
      };
      const { code, stdout, stderr } = await kubectl.run(["create", "-f", "-"], JSON.stringify(policy));
      expect({ code, stdout }).toEqual({ code: 0, stdout: "networkpolicy.networking.k8s.io/np created\n" });
      expect(stderr).toMatch(/Warning: .*NetworkPolicy/);
      expect(await kubectl.must(["get", "networkpolicies", "-o", "name"])).toContain("networkpolicy");
      expect(await kubectl.must(["describe", "networkpolicy", "np"])).toMatch(/^Name: +np\n/);
    },
    TEST_MS,
  );

  test(
    "dry-run=server changes nothing",
    async () => {
      expect(await kubectl.must(["apply", "--dry-run=server", "-f", "-"], talker("dry"))).toBe(
        "pod/dry created (server dry run)\n",
      );
      expect((await kubectl.run(["get", "pod", "dry"])).code).toBe(1);
    },
    TEST_MS,
  );
});
