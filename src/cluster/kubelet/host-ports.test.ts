import { expect, test } from "bun:test";
import { connect, createServer, type Server } from "node:net";
import { PassThrough } from "node:stream";
import type { ContainerPort, PodSpec } from "../../../generated/kubernetes.ts";
import { hostPortPlan } from "./host-ports.ts";
import { World } from "./test-support/world.ts";

function pod(ports: Partial<ContainerPort>[], more: Partial<PodSpec> = {}): PodSpec {
  return {
    containers: [{ name: "c", image: "img", ports: ports.map((port) => ({ containerPort: 80, ...port })) }],
    ...more,
  };
}

test("hostPortPlan() publishes on loopback, whatever all addresses are called [N8]", () => {
  const ips = ["", "0.0.0.0", "::", "127.0.0.1", "127.1.2.3", "::1"];
  const { publish, warnings } = hostPortPlan(
    pod(ips.map((hostIP, index) => ({ hostIP, hostPort: index + 1 }))),
  );
  expect(publish.map(({ address }) => address)).toEqual([
    "127.0.0.1",
    "127.0.0.1",
    "127.0.0.1",
    "127.0.0.1",
    "127.1.2.3",
    "::1",
  ]);
  expect(warnings).toEqual([]);
});

test("hostPortPlan() says which ports it does not publish [N8, I18, Q7]", () => {
  const initContainers = [
    { name: "side", restartPolicy: "Always", ports: [{ containerPort: 1, hostPort: 9 }] },
    { name: "init", ports: [{ containerPort: 1, hostPort: 10 }] },
  ];
  const ports = [
    { hostPort: 53, protocol: "UDP" },
    { hostPort: 80, hostIP: "192.0.2.1" },
  ];
  expect(hostPortPlan(pod(ports, { initContainers }))).toEqual({
    publish: [],
    warnings: [
      'hostPort 53 of container "c" is not published: only TCP ports are, and its protocol is UDP',
      'hostPort 80 of container "c" is not published: hostIP "192.0.2.1" is no loopback address, and pods are never open to the outside',
      'hostPort 9 of container "side" is not published: the kubelet takes host ports from spec.containers only, not from init containers',
    ],
  });
  expect(hostPortPlan(pod(ports, { hostNetwork: true }))).toEqual({ publish: [], warnings: [] });
});

async function listen(port = 0): Promise<{ server: Server; port: number }> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  const address = server.address();
  return { server, port: typeof address === "object" && address !== null ? address.port : 0 };
}

const close = (server: Server) => new Promise<void>((resolve) => server.close(() => resolve()));

/** Sockets take a moment of their own. */
async function until(w: World, holds: () => boolean): Promise<void> {
  for (let round = 0; round < 200 && !holds(); round++) await w.settle();
}

test("a port that another program has keeps the pod waiting, with its name in the event; then it is published [N8]", async () => {
  await using w = await new World().start();
  const { server, port } = await listen();
  await w.run("p", pod([{ hostPort: port }]));
  await until(w, () => w.events().length > 0);
  expect(w.status("c").state?.waiting?.reason).toBe("ContainerCreating");
  expect(w.events()).toEqual([
    `Warning FailedCreatePodSandBox: Failed to create pod sandbox: Cannot publish hostPort ${port} of container "c": another program of this machine listens on 127.0.0.1:${port}. Stop it, or choose another hostPort`,
  ]);
  await close(server);
  await w.advance(10_000);
  await until(w, () => w.pod().status?.phase === "Running");
  expect(w.pod().status?.phase).toBe("Running");
  const asked: unknown[] = [];
  w.sandbox.connect = async (to: unknown) => {
    asked.push(to);
    return new PassThrough();
  };
  const client = connect({ port, host: "127.0.0.1" });
  client.write("echo");
  const echoed = await new Promise<Buffer>((resolve) => client.once("data", resolve));
  expect([echoed.toString(), asked]).toEqual(["echo", [{ ip: "10.99.1.1", port: 80 }]]);
  client.destroy();
  await w.delete(0);
  await until(w, () => !w.exists());
  const again = await listen(port);
  await close(again.server);
});

test("a sidecar's port and a protocol that is not TCP are named in events [N8, I18, Q7]", async () => {
  await using w = await new World().start();
  await w.run("p", pod([{ hostPort: 53, protocol: "UDP" }]));
  expect(w.events()).toContain(
    'Warning HostPortIgnored: hostPort 53 of container "c" is not published: only TCP ports are, and its protocol is UDP',
  );
  expect(w.pod().status?.phase).toBe("Running");
});
