/** Rollouts, scale and changes of workloads as real kubectl drives and shows them. */
import { describe, expect, test } from "bun:test";
import type { KubectlVersion } from "../../src/testing/kubectl.ts";
import { said, TEST_MS, useWorkloadCluster, workload } from "./workload-cluster.ts";

const VERSIONS: readonly KubectlVersion[] = ["29", "35"];
const cluster = useWorkloadCluster();

interface Way {
  readonly kind: string;
  readonly name: string;
  /** How `rollout status` ends. */
  readonly done: string;
}

const WAYS: readonly Way[] = [
  { kind: "Deployment", name: "deployment.apps/d", done: 'deployment "d" successfully rolled out' },
  {
    kind: "StatefulSet",
    name: "statefulset.apps/d",
    done: "partitioned roll out complete: 2 new pods have been updated...",
  },
  { kind: "DaemonSet", name: "daemonset.apps/d", done: 'daemon set "d" successfully rolled out' },
];

describe.each(VERSIONS)("kubectl %s", (version) => {
  test.each(WAYS)(
    "rollout status, history, undo and restart of a workload, $kind [D8]",
    async ({ kind, name, done }) => {
      const kubectl = await cluster.open(version, `v${version}-${kind.toLowerCase()}`);
      const settled = async () => {
        const lines = await kubectl.must(["rollout", "status", name, "--timeout=30s"]);
        expect(lines.trim().split("\n").at(-1)).toBe(done);
      };
      const env = () =>
        kubectl.must(["get", name, "-o", "jsonpath={.spec.template.spec.containers[0].env[*].value}"]);
      const revisions = async () =>
        (await kubectl.must(["rollout", "history", name]))
          .trim()
          .split("\n")
          .slice(2)
          .map((line) => line.replace(/ +/, " "));
      const count = kind === "DaemonSet" ? {} : { replicas: 2 };
      await kubectl.must(["create", "-f", "-"], workload(kind, "d", count));
      await settled();
      for (const value of ["one", "two"]) {
        expect(await kubectl.must(["set", "env", name, `A=${value}`])).toBe(`${name} env updated\n`);
        await settled();
      }
      await kubectl.must(["annotate", name, "kubernetes.io/change-cause=two"]);
      expect(await kubectl.must(["rollout", "history", name, "--revision=2"])).toMatch(
        /Environment:\n +A:\tone\n/,
      );
      expect(await kubectl.must(["rollout", "undo", name, "--to-revision=2"])).toBe(`${name} rolled back\n`);
      await settled();
      expect(await env()).toBe("one");
      expect((await revisions()).map((line) => line.split(" ")[0])).toEqual(["1", "3", "4"]);
      await kubectl.must(["rollout", "undo", name]);
      await settled();
      expect(await env()).toBe("two");
      expect(await said(kubectl, ["rollout", "undo", name, "--to-revision=99"])).toBe(
        "1 error: unable to find specified revision 99 in history",
      );
      expect(await kubectl.must(["rollout", "restart", name])).toBe(`${name} restarted\n`);
      await settled();
      expect(await kubectl.must(["describe", name])).toMatch(
        /Annotations: +kubectl.kubernetes.io\/restartedAt: 20/,
      );
    },
    TEST_MS,
  );
});

test(
  "rollout pause holds changes back until rollout resume",
  async () => {
    const kubectl = await cluster.open("35", "pause");
    await kubectl.must(["create", "-f", "-"], workload("Deployment", "d"));
    await kubectl.must(["rollout", "status", "deploy/d", "--timeout=30s"]);
    expect(await kubectl.must(["rollout", "pause", "deploy/d"])).toBe("deployment.apps/d paused\n");
    const refusals = [
      ["pause", 'deployments.apps "d" is already paused'],
      ["restart", `deployments.apps "d" can't restart paused deployment (run rollout resume first)`],
    ] as const;
    for (const [verb, why] of refusals)
      expect(await said(kubectl, ["rollout", verb, "deploy/d"])).toBe(`1 error: ${why}`);
    await kubectl.must(["set", "image", "deploy/d", "main=busybox:2"]);
    await kubectl.must(["set", "resources", "deploy/d", "--requests=cpu=10m", "--limits=memory=64Mi"]);
    expect(await kubectl.must(["describe", "deploy", "d"])).toMatch(/Progressing +Unknown +DeploymentPaused/);
    expect(await kubectl.must(["get", "rs", "-o", "name"])).toMatch(/^\S+\n$/);
    await kubectl.must(["rollout", "resume", "deploy/d"]);
    await kubectl.must(["rollout", "status", "deploy/d", "--timeout=30s"]);
    expect(await kubectl.must(["get", "rs", "--no-headers", "-o", "wide"])).toMatch(
      /^d-\w+ +1 +1 +1 .*busybox:2 /m,
    );
    for (const kind of ["StatefulSet", "DaemonSet"]) {
      await kubectl.must(["create", "-f", "-"], workload(kind, "d"));
      expect(await said(kubectl, ["rollout", "pause", `${kind}/d`])).toBe(
        `1 error: ${kind.toLowerCase()}s.apps "d" pausing is not supported`,
      );
    }
  },
  TEST_MS,
);

test(
  "a rollout that never becomes ready is told of by rollout status, and pods of before go on [D9]",
  async () => {
    const kubectl = await cluster.open("35", "stuck");
    await kubectl.must(["create", "-f", "-"], workload("Deployment", "d", { replicas: 2 }));
    await kubectl.must(["rollout", "status", "deploy/d", "--timeout=30s"]);
    const probe = { exec: { command: ["false"] } };
    const template = { spec: { containers: [{ name: "main", readinessProbe: probe }] } };
    const patch = JSON.stringify({ spec: { progressDeadlineSeconds: 1, template } });
    await kubectl.must(["patch", "deploy", "d", "-p", patch]);
    const status = await kubectl.run(["rollout", "status", "deploy/d", "--timeout=30s"]);
    expect({ code: status.code, stderr: status.stderr }).toEqual({
      code: 1,
      stderr: 'error: deployment "d" exceeded its progress deadline\n',
    });
    expect(await kubectl.must(["get", "deploy", "d"])).toMatch(/^d +2\/2 +1 +2 /m);
    expect(await kubectl.must(["describe", "deploy", "d"])).toMatch(
      /Progressing +False +ProgressDeadlineExceeded/,
    );
  },
  TEST_MS,
);

test(
  "get events tells what each controller did, in its own reasons",
  async () => {
    const kubectl = await cluster.open("35", "events");
    for (const kind of ["Deployment", "StatefulSet", "DaemonSet"])
      await kubectl.must(["create", "-f", "-"], workload(kind, kind.toLowerCase()));
    const ready = "jsonpath={.status.readyReplicas}=1";
    await kubectl.must(["wait", `--for=${ready}`, "deploy/deployment", "sts/statefulset", "--timeout=30s"]);
    await kubectl.must(["rollout", "status", "ds/daemonset", "--timeout=30s"]);
    await kubectl.must(["scale", "deploy/deployment", "sts/statefulset", "--replicas=0"]);
    const gone = ["--for=delete", "pod", "-l", "app in (deployment,statefulset)", "--timeout=30s"];
    await kubectl.must(["wait", ...gone]);
    const columns = "custom-columns=K:.involvedObject.kind,R:.reason,M:.message";
    const told = await kubectl.must(["get", "events", "--no-headers", "-o", columns]);
    const lines = told
      .split("\n")
      .map((line) => line.replace(/ {2,}/g, "|").replaceAll(/-[a-z0-9]{8,10}\b|-[a-z0-9]{5}\b/g, "-X"));
    expect(lines).toEqual(
      expect.arrayContaining([
        "Deployment|ScalingReplicaSet|Scaled up replica set deployment-X from 0 to 1",
        "Deployment|ScalingReplicaSet|Scaled down replica set deployment-X from 1 to 0",
        "ReplicaSet|SuccessfulCreate|Created pod: deployment-X-X",
        "ReplicaSet|SuccessfulDelete|Deleted pod: deployment-X-X",
        "StatefulSet|SuccessfulCreate|create Pod statefulset-0 in StatefulSet statefulset successful",
        "StatefulSet|SuccessfulDelete|delete Pod statefulset-0 in StatefulSet statefulset successful",
        "DaemonSet|SuccessfulCreate|Created pod: daemonset-X",
        expect.stringMatching(/^Pod\|Scheduled\|Successfully assigned events\/daemonset-X to /),
        "Pod|Killing|Stopping container main",
      ]),
    );
  },
  TEST_MS,
);

test(
  "scale, also only from an expected number; autoscale stores what nothing acts on, and says so",
  async () => {
    const kubectl = await cluster.open("35", "scale");
    for (const kind of ["Deployment", "StatefulSet", "DaemonSet"])
      await kubectl.must(["create", "-f", "-"], workload(kind, "d"));
    expect(await kubectl.must(["scale", "deploy/d", "sts/d", "--replicas=2"])).toBe(
      "deployment.apps/d scaled\nstatefulset.apps/d scaled\n",
    );
    await kubectl.must([
      "wait",
      "--for=jsonpath={.status.readyReplicas}=2",
      "deploy/d",
      "sts/d",
      "--timeout=20s",
    ]);
    expect(await said(kubectl, ["scale", "deploy/d", "--replicas=1", "--current-replicas=5"])).toBe(
      "1 error: Expected replicas to be 5, was 2",
    );
    await kubectl.must(["scale", "deploy/d", "--replicas=1", "--current-replicas=2", "--timeout=20s"]);
    expect(await kubectl.must(["get", "deploy", "d", "-o", "wide"])).toMatch(
      /^NAME +READY +UP-TO-DATE +AVAILABLE +AGE +CONTAINERS +IMAGES +SELECTOR\nd +1\/1 +1 +1 +\S+ +main +busybox +app=d\n$/,
    );
    expect(await kubectl.must(["get", "deploy", "d", "--subresource=scale"])).toMatch(
      /^NAME +DESIRED +AVAILABLE +AGE\nd +1 +1 +\S+\n$/,
    );
    expect(await said(kubectl, ["scale", "deploy/none", "--replicas=1"])).toBe(
      '1 Error from server (NotFound): deployments.apps "none" not found',
    );
    expect(await said(kubectl, ["scale", "ds/d", "--replicas=1"])).toBe(
      "1 Error from server (NotFound): the server could not find the requested resource",
    );
    expect(await said(kubectl, ["autoscale", "deploy/d", "--max=3", "--cpu=50%"])).toBe(
      "0 horizontalpodautoscaler.autoscaling/d autoscaled\n" +
        "Warning: pillion: HorizontalPodAutoscaler objects are stored, but nothing acts on them yet",
    );
    expect(await kubectl.must(["get", "hpa"])).toMatch(/^d +Deployment\/d +cpu: <unknown>\/50% +1 +3 +0 /m);
    expect(await kubectl.must(["describe", "hpa", "d"])).toMatch(
      /Reference: +Deployment\/d\n[^]*resource cpu on pods +\(as a percentage of request\): +<unknown> \/ 50%\n[^]*Max replicas: +3\n/,
    );
  },
  TEST_MS,
);

test(
  "set, label, annotate and patch say what they did, and what cannot change stays",
  async () => {
    const kubectl = await cluster.open("35", "change");
    for (const kind of ["Deployment", "StatefulSet", "DaemonSet"])
      await kubectl.must(["create", "-f", "-"], workload(kind, "d"));
    const done = [
      ["set image deploy/d main=busybox:1", "deployment.apps/d image updated"],
      ["set serviceaccount deploy/d default", "deployment.apps/d serviceaccount updated"],
      ["set resources ds/d -c main --limits=memory=64Mi", "daemonset.apps/d resource requirements updated"],
      ["set env sts/d --list", "# StatefulSet d, container main"],
      ["label deploy/d tier=web", "deployment.apps/d labeled"],
      ["label deploy/d tier-", "deployment.apps/d unlabeled"],
      ["annotate sts/d note=x", "statefulset.apps/d annotated"],
    ] as const;
    for (const [command, line] of done) expect(await said(kubectl, command.split(" "))).toBe(`0 ${line}`);
    expect(await said(kubectl, ["set", "image", "deploy/d", "x=y"])).toBe(
      '1 error: unable to find container named "x"',
    );
    await kubectl.must(["label", "deploy/d", "tier=web"]);
    expect(await said(kubectl, ["label", "deploy/d", "tier=x"])).toBe(
      "1 error: 'tier' already has a value (web), and --overwrite is false",
    );
    const patch = async (object: string, spec: object) =>
      await said(kubectl, ["patch", object, "-p", JSON.stringify({ spec })]);
    const labels = { app: "d", tier: "web" };
    const both = { selector: { matchLabels: labels }, template: { metadata: { labels } } };
    for (const kind of ["Deployment", "DaemonSet"])
      expect(await patch(`${kind}/d`, both)).toBe(
        `1 The ${kind} "d" is invalid: spec.selector: Invalid value: {"matchLabels":{"app":"d","tier":"web"}}: field is immutable`,
      );
    expect(await patch("sts/d", { serviceName: "x" })).toBe(
      '1 The StatefulSet "d" is invalid: spec: Forbidden: updates to statefulset spec for fields other than ' +
        "'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden",
    );
    const other = { template: { metadata: { labels: { app: "y" } } } };
    expect(await patch("deploy/d", other)).toBe(
      '1 The Deployment "d" is invalid: spec.template.metadata.labels: Invalid value: {"app":"y"}: `selector` does not match template `labels`',
    );
  },
  TEST_MS,
);
