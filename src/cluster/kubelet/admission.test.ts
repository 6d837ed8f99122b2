import { describe, expect, test } from "bun:test";
import type { ContainerPort, PodSpec } from "../../../generated/kubernetes.ts";
import { World } from "./test-support/world.ts";

const REJECTED = "Pod was rejected: ";

function sysctl(name: string): Partial<PodSpec> {
  return { securityContext: { sysctls: [{ name, value: "1" }] } };
}

function ports(...list: Partial<ContainerPort>[]): Partial<PodSpec> {
  const all = list.map((port) => ({ containerPort: 80, ...port }));
  return { containers: [{ name: "app", image: "img", ports: all }] };
}

function outcome(w: World, name: string): string {
  const { phase, reason, message } = w.pod(name).status ?? {};
  return `${phase} ${reason}: ${message}`;
}

describe("the node refuses", () => {
  test("kernel settings that are not safe, and passes on those that are [N10]", async () => {
    await using w = await new World().start();
    await w.run("bad", sysctl("kernel.msgmax"));
    const text = 'forbidden sysctl: "kernel.msgmax" not allowlisted';
    expect(outcome(w, "bad")).toBe(`Failed SysctlForbidden: ${REJECTED}${text}`);
    expect(w.events("bad")).toEqual([`Warning SysctlForbidden: ${text}`]);
    expect(w.sandbox.pods).toEqual([]);
    await w.run("good", sysctl("net/ipv4/tcp_syncookies"));
    expect(w.sandbox.pods[0]?.spec.sysctls).toEqual([{ name: "net.ipv4.tcp_syncookies", value: "1" }]);
  });

  test("a pod that wants another's port, until that one has ended [N8]", async () => {
    await using w = await new World().start();
    await w.run("first", { ...ports({ hostPort: 8080 }), hostNetwork: true });
    await w.run("second", { ...ports({ hostPort: 8080 }), hostNetwork: true });
    const text = "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports";
    expect(outcome(w, "second")).toBe(`Failed NodePorts: ${REJECTED}${text}`);
    await w.delete(0, "first");
    await w.run("third", { ...ports({ hostPort: 8080 }), hostNetwork: true });
    expect(w.pod("third").status?.phase).toBe("Running");
  });
});

test("a pod that the node has taken is not asked again", async () => {
  await using w = await new World().start();
  await w.run("p", {});
  await w.change("p", (pod) => ({ ...pod, spec: { ...w.pod().spec, ...sysctl("kernel.msgmax") } }));
  await w.exit("app", 1);
  expect(w.state("app")).toBe("Running");
});
