/** What `pillion up` shows of a container that says nothing for a long time. */
import { expect, test } from "bun:test";
import { homeWithPod } from "./pod-home.ts";

const isSoak = process.env["PILLION_SOAK"] === "1";
const QUIET = `apiVersion: v1
kind: Pod
metadata: { name: quiet }
spec:
  restartPolicy: Never
  containers:
  - { name: main, image: busybox, command: [sh, -c, "echo first; sleep 20; echo second"] }
`;

test.skipIf(!isSoak)(
  "up goes on with a container's log after it was quiet for longer than Bun waits for an answer",
  async () => {
    await using home = homeWithPod(QUIET);
    // In seconds; it is five minutes by itself, and the least that counts is about eight.
    const up = home.start(["up", "-f", home.manifests], { env: { BUN_CONFIG_HTTP_IDLE_TIMEOUT: "1" } });
    await up.line(/^\[quiet\/main\] second$/);
    up.kill("SIGINT");
    const { code, stderr } = await up.exited;
    expect({ code, lost: stderr.includes("cannot be read") }).toEqual({ code: 0, lost: false });
  },
  60_000,
);
