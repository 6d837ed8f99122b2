/** Jobs, CronJobs, budgets and what else `kubectl create` makes; drains, waits and diffs. */
import { expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openKubectl } from "./kubectl-session.ts";
import { said, TEST_MS, useWorkloadCluster, workload } from "./workload-cluster.ts";

const cluster = useWorkloadCluster();

test(
  "create job and cronjob, a job from a cronjob, and what they say",
  async () => {
    const kubectl = await cluster.open("35", "jobs");
    await kubectl.must(["create", "job", "j", "--image=busybox", "--", "echo", "hi"]);
    await kubectl.must([
      "create",
      "cronjob",
      "c",
      "--image=busybox",
      "--schedule=0 0 1 1 *",
      "--",
      "echo",
      "due",
    ]);
    expect(await said(kubectl, ["create", "job", "by-hand", "--from=cronjob/c"])).toBe(
      "0 job.batch/by-hand created",
    );
    await kubectl.must(["wait", "--for=condition=complete", "job/j", "job/by-hand", "--timeout=30s"]);
    expect(await kubectl.must(["logs", "job/by-hand"])).toBe("due\n");
    expect(await kubectl.must(["get", "jobs,cronjobs", "-o", "wide"])).toMatch(
      /by-hand +Complete +1\/1 +\d+s +\d+s +c +busybox +batch.kubernetes.io\/controller-uid=[^]*cronjob.batch\/c +0 0 1 1 \* +<none> +False +0 +<none> +\d+s +c +busybox +<none>\n$/,
    );
    const described = await kubectl.must(["describe", "job", "by-hand"]);
    expect(described).toMatch(
      /Labels: +batch.kubernetes.io\/controller-uid=\S+\n +batch.kubernetes.io\/job-name=by-hand\n[^]*Annotations: +cronjob.kubernetes.io\/instantiate: manual\nControlled By: +CronJob\/c\n[^]*Pods Statuses: +0 Active \(0 Ready\) \/ 1 Succeeded \/ 0 Failed\n/,
    );
    expect(described).toMatch(
      /Normal +SuccessfulCreate [^\n]*Created pod: by-hand-\w{5}\n +Normal +Completed [^\n]*Job completed\n/,
    );
    expect(await kubectl.must(["describe", "cronjob", "c"])).toMatch(
      /Schedule: +0 0 1 1 \*\nConcurrency Policy: +Allow\n[^]*Last Schedule Time: +<unset>\n/,
    );
    await kubectl.must(["delete", "cronjob", "c", "--cascade=foreground", "--timeout=30s"]);
    expect(await kubectl.must(["get", "jobs", "-o", "name"])).toBe("job.batch/j\n");
  },
  TEST_MS,
);

test(
  "a Job that fails says why, and cannot change what it was made with [J7, J8]",
  async () => {
    const kubectl = await cluster.open("35", "failing");
    await kubectl.must(["create", "job", "j", "--image=busybox", "--", "true"]);
    const spec = {
      backoffLimit: 0,
      template: {
        spec: {
          restartPolicy: "Never",
          containers: [{ name: "main", image: "busybox", command: ["false"] }],
        },
      },
    };
    const job = { apiVersion: "batch/v1", kind: "Job", metadata: { name: "bad" }, spec };
    await kubectl.must(["create", "-f", "-"], JSON.stringify(job));
    await kubectl.must(["wait", "--for=condition=failed", "job/bad", "--timeout=30s"]);
    expect(await kubectl.must(["describe", "job", "bad"])).toMatch(
      /Pods Statuses: +0 Active \(0 Ready\) \/ 0 Succeeded \/ 1 Failed\n[^]*Warning +BackoffLimitExceeded [^\n]*Job has reached the specified backoff limit\n/,
    );
    expect(await said(kubectl, ["patch", "job", "bad", "-p", '{"spec":{"completions":5}}'])).toBe(
      '1 The Job "bad" is invalid: spec.completions: Invalid value: 5: field is immutable',
    );
    expect(await said(kubectl, ["create", "job", "bad", "--image=busybox"])).toBe(
      '1 error: failed to create job: jobs.batch "bad" already exists',
    );
    expect(await said(kubectl, ["create", "cronjob", "c", "--image=busybox", "--schedule=soon"])).toBe(
      '1 error: failed to create cronjob: CronJob.batch "c" is invalid: spec.schedule: Invalid value: "soon": expected exactly 5 fields, found 1: [soon]',
    );
  },
  TEST_MS,
);

test(
  "create makes what the other generators make",
  async () => {
    const kubectl = await cluster.open("35", "made");
    const stored = (kind: string) =>
      `\nWarning: pillion: ${kind} objects are stored, but nothing acts on them yet`;
    const cases = [
      ["deployment d --image=busybox --replicas=0 --port=80 -- sleep 9", "deployment.apps/d created"],
      ["pdb p --selector=app=d --min-available=50%", "poddisruptionbudget.policy/p created"],
      ["configmap c --from-literal=a=b", "configmap/c created"],
      ["secret generic s --from-literal=a=b", "secret/s created"],
      ["serviceaccount robot", "serviceaccount/robot created"],
      ["role r --verb=get --resource=pods", "role.rbac.authorization.k8s.io/r created"],
      [
        "rolebinding b --role=r --serviceaccount=made:robot",
        "rolebinding.rbac.authorization.k8s.io/b created",
      ],
      ["quota q --hard=pods=10", `resourcequota/q created${stored("ResourceQuota")}`],
    ] as const;
    for (const [command, line] of cases)
      expect(await said(kubectl, ["create", ...command.split(" ")])).toBe(`0 ${line}`);
    expect(await said(kubectl, ["create", "pdb", "p2", "--selector=a=b"])).toBe(
      "1 error: one of min-available or max-unavailable must be specified",
    );
    expect(await kubectl.must(["get", "pdb", "p"])).toMatch(/^p +50% +N\/A +0 /m);
    expect(
      await kubectl.must(["auth", "can-i", "get", "pods", "--as=system:serviceaccount:made:robot"]),
    ).toBe("yes\n");
  },
  TEST_MS,
);

test(
  "drain waits for a budget, goes on when it lets, and leaves DaemonSets alone; uncordon brings pods back",
  async () => {
    const kubectl = await cluster.open("35", "drained");
    const node = (await kubectl.must(["get", "nodes", "-o", "name"])).trim();
    await kubectl.must(["create", "-f", "-"], workload("DaemonSet", "agent"));
    await kubectl.must(["create", "-f", "-"], workload("Deployment", "web", { replicas: 2 }));
    await kubectl.must(["rollout", "status", "deploy/web", "--timeout=30s"]);
    await kubectl.must(["rollout", "status", "ds/agent", "--timeout=30s"]);
    await kubectl.must(["create", "pdb", "web", "--selector=app=web", "--min-available=2"]);
    await kubectl.must(["wait", "--for=jsonpath={.status.expectedPods}=2", "pdb/web", "--timeout=20s"]);
    expect(await kubectl.must(["describe", "pdb", "web"])).toMatch(
      /Min available: +2\n[^]*Allowed disruptions: +0\n +Current: +2\n +Desired: +2\n +Total: +2\n/,
    );
    const [selector, drain] = ["--pod-selector=app in (web,agent)", ["drain", node]];
    const bare = await kubectl.run([...drain, selector, "--timeout=1s"]);
    expect(bare.stderr).toMatch(
      /cannot delete DaemonSet-managed Pods \(use --ignore-daemonsets to ignore\): drained\/agent-/,
    );
    const all = [...drain, selector, "--ignore-daemonsets"];
    const blocked = await kubectl.run([...all, "--timeout=4s"]);
    expect({ code: blocked.code, stderr: blocked.stderr }).toEqual({
      code: 1,
      stderr: expect.stringMatching(
        /ignoring DaemonSet-managed Pods: drained\/agent-\w+\n[^]*\(will retry after 5s\): Cannot evict pod as it would violate the pod's disruption budget\./,
      ),
    });
    expect(await kubectl.must(["get", node, "--no-headers"])).toMatch(/ Ready,SchedulingDisabled /);
    await kubectl.must(["patch", "pdb", "web", "-p", '{"spec":{"minAvailable":0}}']);
    await kubectl.must(["wait", "--for=jsonpath={.status.disruptionsAllowed}=2", "pdb/web", "--timeout=20s"]);
    expect(await kubectl.must([...all, "--timeout=30s"])).toMatch(
      new RegExp(`pod/web-\\S+ evicted\n[^]*${node} drained\n$`),
    );
    expect(await kubectl.must(["get", "deploy,ds", "--no-headers"])).toMatch(
      /deployment\.apps\/web +0\/2 +2 +0 [^]*daemonset\.apps\/agent +1 +1 +1 /,
    );
    expect(await kubectl.must(["uncordon", node])).toBe(`${node} uncordoned\n`);
    await kubectl.must(["rollout", "status", "deploy/web", "--timeout=30s"]);
  },
  TEST_MS,
);

test(
  "wait for a condition, a value, a creation and a deletion",
  async () => {
    const kubectl = await cluster.open("35", "waits");
    const created = kubectl.start(["wait", "--for=create", "deploy/d", "--timeout=30s"]);
    await kubectl.must(["create", "-f", "-"], workload("Deployment", "d"));
    expect((await created.exited).stdout).toBe("deployment.apps/d condition met\n");
    await kubectl.must(["wait", "--for=condition=Available", "deploy/d", "--timeout=30s"]);
    await kubectl.must(["wait", "--for=jsonpath={.status.availableReplicas}=1", "deploy/d", "--timeout=30s"]);
    expect(await said(kubectl, ["wait", "--for=condition=Nice", "deploy/d", "--timeout=1s"])).toBe(
      "1 error: timed out waiting for the condition on deployments/d",
    );
    expect(await said(kubectl, ["wait", "--for=condition=Available", "deploy/none"])).toBe(
      '1 Error from server (NotFound): deployments.apps "none" not found',
    );
    const deleted = kubectl.start(["wait", "--for=delete", "pod", "-l", "app=d", "--timeout=30s"]);
    await kubectl.must(["delete", "deploy", "d", "--timeout=30s"]);
    expect((await deleted.exited).code).toBe(0);
    expect(await kubectl.must(["get", "all"])).toBe("");
  },
  TEST_MS,
);

test(
  "apply -k, diff and apply --prune of workloads",
  async () => {
    const kubectl = await cluster.open("35", "kustomized");
    const folder = join(cluster.home.path, "kustomized");
    const write = (files: Readonly<Record<string, string>>) => {
      mkdirSync(folder, { recursive: true });
      for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
    };
    const kustomization = (resources: string, replicas: number) =>
      `resources: [${resources}]\nlabels: [{ pairs: { set: s } }]\nreplicas: [{ name: web, count: ${replicas} }]\n`;
    write({
      "web.json": workload("Deployment", "web"),
      "db.json": workload("StatefulSet", "db"),
      "kustomization.yaml": kustomization("web.json, db.json", 2),
    });
    expect(await kubectl.must(["apply", "-k", folder])).toBe(
      "deployment.apps/web created\nstatefulset.apps/db created\n",
    );
    await kubectl.must(["rollout", "status", "deploy/web", "--timeout=30s"]);
    expect((await kubectl.run(["diff", "-k", folder])).code).toBe(0);
    write({ "kustomization.yaml": kustomization("web.json", 3) });
    const diff = await kubectl.run(["diff", "-k", folder]);
    expect({ code: diff.code, lines: diff.stdout.split("\n").filter((line) => /^[-+] /.test(line)) }).toEqual(
      {
        code: 1,
        lines: ["-  generation: 1", "+  generation: 2", "-  replicas: 2", "+  replicas: 3"],
      },
    );
    const prune = ["--prune", "-l", "set=s", "--prune-allowlist=apps/v1/StatefulSet"];
    expect(await kubectl.must(["apply", "-k", folder, ...prune])).toBe(
      "deployment.apps/web configured\nstatefulset.apps/db pruned\n",
    );
  },
  TEST_MS,
);

test(
  "apply --prune --applyset removes workloads that are no longer in the set",
  async () => {
    await cluster.open("35", "applyset");
    const env = { KUBECTL_APPLYSET: "true" };
    const kubectl = await openKubectl(cluster.home, { version: "35", namespace: "applyset", env });
    const list = (...items: string[]) => items.join("\n---\n");
    const apply = ["apply", "--server-side", "--prune", "--applyset=secret/fleet", "-f", "-"];
    await kubectl.must(apply, list(workload("Deployment", "a"), workload("DaemonSet", "b")));
    expect(await kubectl.must(apply, list(workload("Deployment", "a")))).toContain(
      "daemonset.apps/b pruned\n",
    );
  },
  TEST_MS,
);
