/** A CronJob in a real cluster: by the clock of this machine, with a native sidecar in its pods. */
import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { PillionHome } from "../../src/testing/pillion.ts";
import { openKubectl } from "../conformance/kubectl-session.ts";

const SIDE = 'trap "exit 0" TERM; while :; do sleep 1000 & wait $!; done';
const TICK = JSON.stringify({
  apiVersion: "batch/v1",
  kind: "CronJob",
  metadata: { name: "tick" },
  spec: {
    schedule: "@every 1s",
    timeZone: "Asia/Kolkata",
    concurrencyPolicy: "Forbid",
    jobTemplate: {
      spec: {
        template: {
          metadata: { labels: { app: "tick" } },
          spec: {
            restartPolicy: "Never",
            initContainers: [
              { name: "side", image: "busybox", restartPolicy: "Always", command: ["sh", "-c", SIDE] },
            ],
            containers: [{ name: "main", image: "busybox", command: ["echo", "tick"] }],
          },
        },
      },
    },
  },
});

test("a CronJob runs its Job when it is due, and sees it succeed beside its sidecar", async () => {
  await using home = new PillionHome();
  const images = join(home.path, "images.yaml");
  writeFileSync(images, "images: { busybox: host }\n");
  await home.mustRun(["up", "-d", "--images", images]);
  const kubectl = await openKubectl(home, { version: "35", namespace: "default" });
  await kubectl.must(["apply", "-f", "-"], TICK);
  const succeeded = "--for=jsonpath={.status.lastSuccessfulTime}";
  await kubectl.must(["wait", "cronjob/tick", succeeded, "--timeout=30s"]);
  await kubectl.must(["patch", "cronjob", "tick", "-p", '{"spec":{"suspend":true}}']);
  expect(await kubectl.must(["logs", "-l", "app=tick", "-c", "main"])).toMatch(/^(?:tick\n)+$/);
  const jobs = await kubectl.must(["get", "jobs", "-o", "name"]);
  expect(jobs).toMatch(/^(?:job\.batch\/tick-\d+\n)+$/);
  await kubectl.must(["delete", "cronjob", "tick"]);
  const job = jobs.trim().split("\n");
  await kubectl.must(["wait", ...job, "--for=delete", "--timeout=30s"]);
}, 60_000);
