/** What the tests of pods with images do inside an engine's namespaces; prints what it found as JSON. */
import { join } from "node:path";
import type { Container } from "../../../generated/kubernetes.ts";
import { buildImage, dockerSave, tarOf } from "../../testing/image-builder.ts";
import {
  type Cluster,
  create,
  hasEnded,
  logs,
  openCluster,
  statusOf,
  until,
} from "./test-support/real-cluster.ts";

/** How a test runs the scenario: a command for `namespaceCommand`. */
export function scenarioCommand(folder: string): string[] {
  return [process.execPath, import.meta.path, folder];
}

/** One layer with next to nothing in it: no /etc/hosts, no /usr/bin/sh before the machine's /usr is mounted. */
const SMALL = buildImage({
  layers: [
    [
      { name: "etc/", type: "5", mode: 0o755 },
      { name: "etc/passwd", content: "root:x:0:0:root:/:/bin/sh\n" },
      ...["bin", "lib", "lib64"].map((name) => ({ name, type: "2", linkName: `usr/${name}` }) as const),
    ],
  ],
  compression: "none",
  platform: { os: "linux", architecture: process.arch === "x64" ? "amd64" : "arm64" },
  config: { Env: ["PATH=/usr/bin:/bin"] },
});

async function readOnly(folder: string): Promise<void> {
  const cluster = await openCluster(folder, { hostPaths: ["/usr"] });
  const archive = join(folder, "small.tar");
  await Bun.write(archive, tarOf(dockerSave([{ image: SMALL, tags: ["small:1"] }])));
  await cluster.images.import(archive);
  const found = {
    plain: await ended(cluster, "plain", {}),
    places: await ended(cluster, "places", {
      workingDir: "/made/work",
      terminationMessagePath: "/made/for/the-message",
    }),
    errors: cluster.errors,
  };
  await cluster.close();
  console.log(JSON.stringify(found));
}

async function ended(cluster: Cluster, name: string, more: Partial<Container>) {
  const path = more.terminationMessagePath ?? "/dev/termination-log";
  const script = `
    for d in / /etc /made /made/work /cache; do [ -d $d ] && (echo x > $d/written) 2>/dev/null && echo $d; done
    grep -c ${name} /etc/hosts; pwd; echo bye > ${path}`;
  create(cluster, name, {
    restartPolicy: "Never",
    volumes: [
      { name: "usr", hostPath: { path: "/usr" } },
      { name: "cache", emptyDir: {} },
    ],
    containers: [
      {
        name: "app",
        image: "small:1",
        command: ["sh", "-c", script],
        ...more,
        securityContext: { ...more.securityContext, readOnlyRootFilesystem: true },
        volumeMounts: [
          { name: "usr", mountPath: "/usr", readOnly: true },
          { name: "cache", mountPath: "/cache" },
        ],
      },
    ],
  });
  await until(cluster, name, hasEnded);
  const message = statusOf(cluster, name)?.containerStatuses?.[0]?.state?.terminated?.message;
  return { lines: (await logs(cluster, name, "app")).trimEnd().split("\n"), message };
}

if (import.meta.main) await readOnly(process.argv[2] ?? "");
