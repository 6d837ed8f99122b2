import { expect, test } from "bun:test";
import { World } from "../test-support/world.ts";
import { privateHostPaths } from "./private-host-paths.ts";

const metadata = { name: "p", namespace: "default", uid: "u" };
const DATA =
  'hostPath "/data" of volume "v" is on the cluster\'s own node, not on this machine; ' +
  "start the cluster with `--host-path /data` to use this machine's";

test("volumes below no shared folder are named, with what would share them", () => {
  const volumes = ["/data", "/data/../srv/app/", "/srv", "/srvx"].map((path, index) => ({
    name: index === 0 ? "v" : `v${index}`,
    hostPath: { path },
  }));
  const spec = { containers: [{ name: "app" }], volumes: [...volumes, { name: "e", emptyDir: {} }] };
  const shared = ["/srv"];
  expect(privateHostPaths({ metadata, spec }, { shared })).toEqual([
    DATA,
    expect.stringContaining('hostPath "/srvx" of volume "v3"'),
  ]);
  expect(privateHostPaths({ metadata, spec: { containers: [] } }, { shared })).toEqual([]);
});

test("a pod gets the event once, also when its kubelet starts again", async () => {
  await using w = await new World().start();
  const containers = [
    { name: "app", image: "img", volumeMounts: [{ name: "v", mountPath: "/v" }] },
    { name: "fails", image: "img2" },
  ];
  await w.run("p", { containers, volumes: [{ name: "v", hostPath: { path: "/data" } }] });
  await w.kubelet?.stop();
  w.sandbox.keep();
  await w.start();
  expect(w.events().filter((event) => event.includes("hostPath"))).toEqual([
    `Warning HostPathNotShared: ${DATA}`,
  ]);
});
