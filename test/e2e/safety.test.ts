/** What a pod may ask of the machine, and does not get. */
import { describe, expect, test } from "bun:test";
import { mkdirSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { hasNft } from "../../src/testing/nft.ts";
import type { PillionHome } from "../../src/testing/pillion.ts";
import { homeWithPod, POD } from "./pod-home.ts";

const TEST_MS = 60_000;

describe("a pod cannot harm the machine", () => {
  test(
    "the engine runs from a read-only mount of its program, so that /proc/self/exe leads to nothing writable",
    async () => {
      await using home = homeWithPod();
      await home.mustRun(["up", "-d"]);
      const pid = home.enginePid();
      const program = readlinkSync(`/proc/${pid}/exe`);
      const mounts = readFileSync(`/proc/${pid}/mountinfo`, "utf8").split("\n");
      const options = mounts.map((line) => line.split(" ")).find((fields) => fields[4] === program)?.[5];
      expect(options?.split(",")).toContain("ro");
    },
    TEST_MS,
  );

  /** Runs a script in a pod with a hostPath volume at /shared; resolves with what it printed. */
  async function runWithHostPath(
    home: PillionHome & { readonly manifests: string },
    { path, script, up }: { readonly path: string; readonly script: string; readonly up: readonly string[] },
  ): Promise<string> {
    const pod = `apiVersion: v1
kind: Pod
metadata: { name: visitor }
spec:
  restartPolicy: Never
  volumes: [{ name: shared, hostPath: { path: ${path}, type: DirectoryOrCreate } }]
  containers:
  - name: main
    image: busybox
    command: [sh, -c, ${JSON.stringify(script)}]
    volumeMounts: [{ name: shared, mountPath: /shared }]
`;
    writeFileSync(join(home.manifests, "pod.yaml"), pod);
    await home.mustRun(["up", "-d", "-f", home.manifests, ...up]);
    return (await home.mustRun(["logs", "visitor", "-f"])).stdout;
  }

  test(
    "hostPath is a folder of the node, not of this machine",
    async () => {
      await using home = homeWithPod();
      const path = join(home.path, "real");
      mkdirSync(path);
      writeFileSync(join(path, "secret"), "of this machine");
      const script = "ls -A /shared; echo seen > /shared/trace; cat /shared/trace";
      expect(await runWithHostPath(home, { path, script, up: [] })).toBe("seen\n");
      expect(readdirSync(path)).toEqual(["secret"]);
    },
    TEST_MS,
  );

  test(
    "hostPath below a folder of --host-path is the real one",
    async () => {
      await using home = homeWithPod();
      const path = join(home.path, "real");
      mkdirSync(path);
      writeFileSync(join(path, "greeting"), "hello\n");
      const script = "cat /shared/greeting; echo back > /shared/answer";
      expect(await runWithHostPath(home, { path, script, up: ["--host-path", path] })).toBe("hello\n");
      expect(readFileSync(join(path, "answer"), "utf8")).toBe("back\n");
    },
    TEST_MS,
  );

  test(
    "hostNetwork is the node's network, from which this machine's loopback cannot be reached",
    async () => {
      const server = createServer((socket) => socket.end("this machine\n")).listen(0, "127.0.0.1");
      await new Promise((listening) => server.once("listening", listening));
      const address = server.address();
      const port = typeof address === "object" ? (address?.port ?? 0) : 0;
      const script = `if exec 3<>/dev/tcp/127.0.0.1/${port}; then cat <&3; else echo out of reach; fi 2>/dev/null`;
      await using home = homeWithPod(`apiVersion: v1
kind: Pod
metadata: { name: visitor }
spec:
  restartPolicy: Never
  hostNetwork: true
  hostPID: true
  containers: [{ name: main, image: busybox, command: [bash, -c, ${JSON.stringify(script)}] }]
`);
      await home.mustRun(["up", "-d", "-f", home.manifests]);
      expect((await home.mustRun(["logs", "visitor", "-f"])).stdout).toBe("out of reach\n");
      server.close();
    },
    TEST_MS,
  );

  test.skipIf(!hasNft).each([
    ["is there for other machines, and not for credentials of clouds", {}, /reset/],
    ["is closed by PILLION_PACKET_FILTER=off", { PILLION_PACKET_FILTER: "off" }, /unreachable/],
  ])(
    "the way out %s",
    async (_, env, message) => {
      const script = "exec 3<>/dev/tcp/169.254.169.254/80 && cat <&3; echo over";
      await using home = homeWithPod(`apiVersion: v1
kind: Pod
metadata: { name: visitor }
spec:
  restartPolicy: Never
  containers: [{ name: main, image: busybox, command: [bash, -c, ${JSON.stringify(script)}] }]
`);
      const { stderr } = await home.mustRun(["up", "-d", "-f", home.manifests], { env });
      expect(stderr.includes("Pods reach no other machine")).toBe("PILLION_PACKET_FILTER" in env);
      expect((await home.mustRun(["logs", "visitor", "-f"])).stdout).toMatch(message);
    },
    TEST_MS,
  );

  test.each([
    ["privileged", "{ privileged: true }", /privileged: the cluster does not allow it.*--allow-privileged/],
    ["SYS_ADMIN", "{ capabilities: { add: [SYS_ADMIN] } }", /the capabilities SYS_ADMIN.*--allow-privileged/],
    ["all capabilities", "{ capabilities: { add: [ALL] } }", /the capabilities ALL.*--allow-privileged/],
  ])(
    "a container that asks for %s does not start, and is told how it could",
    async (_, context, message) => {
      await using home = homeWithPod(`${POD}    securityContext: ${context}\n`);
      const { code, stderr } = await home.run(["up", "-d", "-f", home.manifests]);
      expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringMatching(message) });
    },
    TEST_MS,
  );
});
