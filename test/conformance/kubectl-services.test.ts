/** Services, endpoints and what goes with them as real kubectl makes and shows them. */
import { describe, expect, test } from "bun:test";
import type { KubectlVersion } from "../../src/testing/kubectl.ts";
import { said, TEST_MS, useWorkloadCluster, workload } from "./workload-cluster.ts";

const VERSIONS: readonly KubectlVersion[] = ["29", "35"];
const cluster = useWorkloadCluster();

function service(name: string, spec: object): string {
  return JSON.stringify({ apiVersion: "v1", kind: "Service", metadata: { name }, spec });
}

describe.each(VERSIONS)("kubectl %s", (version) => {
  test(
    "expose, run and create make Services of every type; get and describe show them [SV5]",
    async () => {
      const kubectl = await cluster.open(version, `types-${version}`);
      await kubectl.must(["create", "-f", "-"], workload("Deployment", "web"));
      await kubectl.must(["rollout", "status", "deploy/web", "--timeout=30s"]);
      expect(await said(kubectl, ["expose", "deploy", "web"])).toBe(
        "1 error: couldn't find port via --port flag or introspection",
      );
      for (const command of [
        "expose deploy web --port=80 --target-port=8080",
        "expose deploy web --port=80 --name=np --type=NodePort",
        `expose deploy web --port=${version === "29" ? 18_129 : 18_135} --name=lb --type=LoadBalancer`,
        "create service externalname ext --external-name=example.com",
        "create service clusterip none --clusterip=None",
        "run solo --image=busybox --port=8080 --expose -- sleep 1000",
      ])
        await kubectl.must(command.split(" "));
      await kubectl.must(["wait", "--for=condition=Ready", "pod/solo", "--timeout=20s"]);
      await kubectl.must(["expose", "pod", "solo", "--name=again", "--port=81"]);
      await kubectl.must([
        "wait",
        "--for=jsonpath={.status.loadBalancer.ingress[0].ip}",
        "svc/lb",
        "--timeout=20s",
      ]);
      const table = await kubectl.must(["get", "services", "-o", "wide"]);
      const rows = table
        .trim()
        .split("\n")
        .map((line) => line.replace(/ {2,}/g, "|").replace(/10\.96\.\d+\.\d+/, "IP"));
      expect(rows.map((row) => row.replace(/:3\d{4}/, ":NODE").replace(/\|\d+s\|/, "|AGE|"))).toEqual([
        "NAME|TYPE|CLUSTER-IP|EXTERNAL-IP|PORT(S)|AGE|SELECTOR",
        "again|ClusterIP|IP|<none>|81/TCP|AGE|run=solo",
        "ext|ExternalName|<none>|example.com|<none>|AGE|app=ext",
        expect.stringMatching(/^lb\|LoadBalancer\|IP\|127\.\d+\.\d+\.\d+\|181\d+:NODE\/TCP\|AGE\|app=web$/),
        "none|ClusterIP|None|<none>|<none>|AGE|app=none",
        "np|NodePort|IP|<none>|80:NODE/TCP|AGE|app=web",
        "solo|ClusterIP|IP|<none>|8080/TCP|AGE|run=solo",
        "web|ClusterIP|IP|<none>|80/TCP|AGE|app=web",
      ]);
      const ip = await kubectl.must([
        "get",
        "pod",
        "-l",
        "app=web",
        "-o",
        "jsonpath={.items[0].status.podIP}",
      ]);
      expect(await kubectl.must(["describe", "service", "web"])).toMatch(
        new RegExp(`^TargetPort: +8080/TCP\nEndpoints: +${ip}:8080\nSession Affinity: +None$`, "m"),
      );
      expect(await kubectl.must(["describe", "service", "lb"])).toMatch(
        /LoadBalancer Ingress: +127\.[^]*Normal +EnsuredLoadBalancer +\S+ +service-controller +Ensured load balancer at 127\./,
      );
      const slice = (
        await kubectl.must(["get", "endpointslice", "-l", "kubernetes.io/service-name=web", "-o", "name"])
      ).trim();
      expect(await kubectl.must(["describe", slice])).toMatch(
        new RegExp(
          `AddressType: +IPv4\n[^]*8080 +TCP\nEndpoints:\n  - Addresses: +${ip}\n    Conditions:\n      Ready: +true\n[^]*TargetRef: +Pod/web-`,
        ),
      );
      // It heeds no signal, and would hold up the end of the cluster.
      await kubectl.must(["delete", "pod", "solo", "--now", "--wait=false"]);
    },
    TEST_MS,
  );
});

test(
  "a Service whose selector matches nothing has no endpoints, until set selector finds some [SV2]",
  async () => {
    const kubectl = await cluster.open("35", "nobody");
    await kubectl.must(["create", "-f", "-"], workload("Deployment", "web"));
    await kubectl.must(["rollout", "status", "deploy/web", "--timeout=30s"]);
    await kubectl.must(
      ["create", "-f", "-"],
      service("s", { selector: { app: "nobody" }, ports: [{ port: 80 }] }),
    );
    expect(await kubectl.must(["describe", "service", "s"])).toMatch(/^Endpoints: *$/m);
    expect(await kubectl.must(["get", "endpoints", "s"])).toMatch(/^s +<none> /m);
    expect(await kubectl.must(["get", "endpointslices", "--no-headers"])).toMatch(
      /^s-\w+ +IPv4 +<unset> +<unset> /,
    );
    expect(await said(kubectl, ["set", "selector", "service", "s", "app=web"])).toBe(
      "0 service/s selector updated",
    );
    await kubectl.must([
      "wait",
      "--for=jsonpath={.endpoints[0].conditions.ready}=true",
      "endpointslice",
      "-l",
      "kubernetes.io/service-name=s",
      "--timeout=20s",
    ]);
    expect(await kubectl.must(["describe", "service", "s"])).toMatch(/^Endpoints: +10\.244\.\d+\.\d+:80$/m);
  },
  TEST_MS,
);

test(
  "what a Service cannot be is refused in the API server's own words [SV5]",
  async () => {
    const kubectl = await cluster.open("35", "wrong");
    const create = async (name: string, spec: object) =>
      (await kubectl.run(["create", "-f", "-"], service(name, spec))).stderr.trim();
    const nodePort = (port: number) => ({ type: "NodePort", ports: [{ port: 80, nodePort: port }] });
    expect(await create("first", nodePort(32_001))).toBe("");
    expect(await create("second", nodePort(32_001))).toBe(
      'The Service "second" is invalid: spec.ports[0].nodePort: Invalid value: 32001: provided port is already allocated',
    );
    expect(await create("low", nodePort(80))).toBe(
      'The Service "low" is invalid: spec.ports[0].nodePort: Invalid value: 80: provided port is not in the valid range. The range of valid ports is 30000-32767',
    );
    const ip = await kubectl.must(["get", "service", "first", "-o", "jsonpath={.spec.clusterIP}"]);
    expect(await create("taken", { clusterIP: ip, ports: [{ port: 80 }] })).toBe(
      `The Service "taken" is invalid: spec.clusterIPs: Invalid value: ["${ip}"]: failed to allocate IP ${ip}: provided IP is already allocated`,
    );
    expect(await create("1st", { ports: [{ port: 80 }] })).toContain(
      'The Service "1st" is invalid: metadata.name: Invalid value: "1st": a DNS-1035 label must consist of',
    );
    expect(
      await said(kubectl, ["patch", "service", "first", "-p", '{"spec":{"clusterIP":"10.96.1.1"}}']),
    ).toBe(
      '1 The Service "first" is invalid: spec.clusterIPs[0]: Invalid value: ["10.96.1.1"]: may not change once set',
    );
    // Its port is free again at once.
    await kubectl.must(["delete", "service", "first"]);
    expect(await create("second", nodePort(32_001))).toBe("");
  },
  TEST_MS,
);

test(
  "Ingresses and NetworkPolicies are stored and described, with a warning that nothing acts on them",
  async () => {
    const kubectl = await cluster.open("35", "stored");
    await kubectl.must(["create", "service", "clusterip", "web", "--tcp=80"]);
    expect(
      await said(kubectl, ["create", "ingress", "i", "--class=nginx", "--rule=shop.test/*=web:80"]),
    ).toBe(
      "0 ingress.networking.k8s.io/i created\nWarning: pillion: Ingress objects are stored, but nothing acts on them yet",
    );
    expect(await kubectl.must(["get", "ingress"])).toMatch(/^i +nginx +shop\.test +80 /m);
    expect(await kubectl.must(["describe", "ingress", "i"])).toMatch(/shop\.test +\n +\/ +web:80 \(\)/);
    const ingress = [{ from: [{ podSelector: { matchLabels: { app: "a" } } }], ports: [{ port: 80 }] }];
    const policy = {
      apiVersion: "networking.k8s.io/v1",
      kind: "NetworkPolicy",
      metadata: { name: "np" },
      spec: { podSelector: { matchLabels: { app: "b" } }, ingress },
    };
    const created = await kubectl.run(["create", "-f", "-"], JSON.stringify(policy));
    expect(created.stderr).toBe(
      "Warning: pillion: NetworkPolicy objects are stored, but nothing acts on them yet\n",
    );
    expect(await kubectl.must(["get", "networkpolicy"])).toMatch(/^np +app=b /m);
    expect(await kubectl.must(["describe", "networkpolicy", "np"])).toMatch(
      /PodSelector: +app=b\n[^]*To Port: 80\/TCP\n[^]*PodSelector: app=a\n[^]*Policy Types: Ingress\n/,
    );
  },
  TEST_MS,
);
