/** One cluster with a host image for the tests of a file, and manifests whose pods end at once. */
import { afterAll, beforeAll } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { PillionHome } from "../../src/testing/pillion.ts";
import type { KubectlVersion } from "../../src/testing/kubectl.ts";
import { type KubectlSession, openKubectl } from "./kubectl-session.ts";

/** For each test. */
export const TEST_MS = 60_000;

export interface WorkloadCluster {
  readonly home: PillionHome;
  /** A kubectl of that version in a namespace of its own, which it makes. */
  open(version: KubectlVersion, namespace: string): Promise<KubectlSession>;
}

/** Starts before a file's first test and ends after its last. */
export function useWorkloadCluster(): WorkloadCluster {
  const home = new PillionHome();
  beforeAll(async () => {
    writeFileSync(join(home.path, "images.yaml"), "images: { busybox: host }\n");
    await home.mustRun(["up", "-d", "--images", join(home.path, "images.yaml")]);
  }, TEST_MS);
  afterAll(async () => {
    await home[Symbol.asyncDispose]();
  }, TEST_MS);
  return {
    home,
    async open(version, namespace) {
      const kubectl = await openKubectl(home, { version, namespace });
      await kubectl.must(["create", "namespace", namespace]);
      return kubectl;
    },
  };
}

/** What a command says and how it ends: the exit code, a space, both streams. */
export async function said(kubectl: KubectlSession, args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await kubectl.run(args);
  return `${code} ${stdout}${stderr}`.trimEnd();
}

/** A pod template whose one container sleeps, and ends without grace. */
function sleepers(name: string): object {
  const containers = [{ name: "main", image: "busybox", command: ["sleep", "1000"] }];
  return {
    metadata: { labels: { app: name } },
    spec: { terminationGracePeriodSeconds: 0, containers },
  };
}

/** A Deployment, StatefulSet or DaemonSet of such pods, as JSON. */
export function workload(kind: string, name: string, spec: object = {}): string {
  const selector = { matchLabels: { app: name } };
  const whole = { selector, template: sleepers(name), ...spec };
  return JSON.stringify({ apiVersion: "apps/v1", kind, metadata: { name }, spec: whole });
}
