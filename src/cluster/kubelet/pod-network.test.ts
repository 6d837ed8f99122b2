import { expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Container } from "../../../generated/kubernetes.ts";
import { asPod } from "../../k8s/pod.ts";
import { World } from "./test-support/world.ts";

const app = (part: Partial<Container> = {}): Container[] => [{ name: "app", image: "img", ...part }];

function fileOf(w: World, target: string): string {
  const path = w.container("app").spec.mounts.find((mount) => mount.target === target)?.source;
  return path === undefined ? "absent" : readFileSync(path, "utf8");
}

test("a hostNetwork pod joins the node's network, and has the node's hosts file [N2, N5]", async () => {
  await using w = await new World().start();
  await w.run("p", { hostNetwork: true, hostAliases: [{ ip: "1.2.3.4", hostnames: ["a"] }] });
  expect(w.sandbox.pods[0]?.spec.hostNetwork).toBe(true);
  expect(fileOf(w, "/etc/hosts")).toStartWith(
    "# Kubernetes-managed hosts file (host network).\n127.0.0.1\tlocalhost",
  );
  expect(fileOf(w, "/etc/hosts")).toEndWith("# Entries added by HostAliases.\n1.2.3.4\ta\n");
});

test("a pod keeps its address while containers come and go, and has one hosts file [N5, N9]", async () => {
  await using w = await new World().start();
  await w.run("p", { containers: [...app(), { name: "other", image: "img" }] });
  const { podIP } = w.pod().status ?? {};
  await w.exit("app", 1);
  await w.setImage("img2", 1);
  await w.settle();
  expect(w.status("app").restartCount).toBe(1);
  expect(w.pod().status?.podIP).toBe(podIP ?? "none");
  expect(w.sandbox.pods).toHaveLength(1);
  const sources = ["app", "other"].map(
    (name) => w.container(name).spec.mounts.find(({ target }) => target === "/etc/hosts")?.source,
  );
  expect(sources[0]).toBe(sources[1] ?? "none");
  expect(fileOf(w, "/etc/hosts")).toContain(`${podIP}\tp\n`);
});

test("too many nameservers are told in an event, and cut [N7]", async () => {
  await using w = await new World().start();
  const nameservers = ["1.0.0.1", "1.0.0.2", "1.0.0.3", "1.0.0.4"];
  await w.run("p", { dnsPolicy: "None", dnsConfig: { nameservers } });
  expect(w.events()).toContain(
    "Warning DNSConfigForming: Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver line is: 1.0.0.1 1.0.0.2 1.0.0.3",
  );
  expect(fileOf(w, "/etc/resolv.conf")).toBe("nameserver 1.0.0.1\nnameserver 1.0.0.2\nnameserver 1.0.0.3\n");
});

test("a name that cannot be keeps the pod waiting, with the kubelet's words [N3]", async () => {
  await using w = await new World().start();
  await w.run("p", { setHostnameAsFQDN: true, subdomain: "s".repeat(60) });
  expect(w.state("app")).toBe("ContainerCreating");
  expect(w.events()[0]).toContain("Failed to construct FQDN from pod hostname and cluster domain");
});

test("variables are what they were at the start; a change needs a restart [E12]", async () => {
  await using w = await new World().start();
  const configMap = (value: string) => ({
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { namespace: "default", name: "c" },
    data: { key: value },
  });
  w.store.create("configmaps", configMap("1"));
  await w.run("p", { containers: app({ envFrom: [{ configMapRef: { name: "c" } }] }) });
  w.store.update("configmaps", { namespace: "default", name: "c" }, () => configMap("2"));
  await w.settle();
  expect([w.status("app").restartCount, w.container("app").spec.env.includes("key=1")]).toEqual([0, true]);
  await w.exit("app", 1);
  expect(w.container("app").spec.env).toContain("key=2");
});

test("a deleted pod goes when it has ended and nothing of it is left, not before [O11]", async () => {
  await using w = await new World().start();
  await w.run("p", {
    volumes: [{ name: "v", emptyDir: { medium: "Memory" } }],
    containers: app({ volumeMounts: [{ name: "v", mountPath: "/v" }] }),
  });
  const folder = join(w.stateDir, "pods", w.pod().metadata.uid);
  const seen: unknown[] = [];
  const unwatch = w.store.watch("pods", { sendInitialEvents: false }, ({ type, object }) => {
    const [sandbox] = w.sandbox.pods;
    const { phase, containerStatuses = [] } = asPod(object).status ?? {};
    const ended = containerStatuses.every(({ state }) => state?.terminated !== undefined);
    if (type === "DELETED")
      seen.push([phase, ended, sandbox?.isDestroyed, sandbox?.mounts.size, existsSync(folder)]);
  });
  w.sandbox.behaviours.set("app", () => undefined);
  w.container("app").onSignal = () => undefined;
  await w.delete(5);
  expect(w.exists()).toBe(true);
  await w.advance(5_000);
  expect(seen).toEqual([["Failed", true, true, 0, false]]);
  unwatch();
});
