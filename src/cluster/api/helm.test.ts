import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "bun:test";
import { helmPath, type KubectlVersion } from "../../testing/kubectl.ts";
import { startTestApi } from "./api.test-support.ts";

/** The layers carry helm 3.17 and 4.1: the one creates and patches, the other applies on the server's side. */
const VERSIONS: readonly KubectlVersion[] = ["29", "35"];

const CONFIG = `apiVersion: v1
kind: ConfigMap
metadata: { name: "{{ .Release.Name }}" }
data: { key: "{{ .Values.key }}" }
`;
const DEPLOYMENT = `apiVersion: apps/v1
kind: Deployment
metadata: { name: "{{ .Release.Name }}" }
spec:
  selector: { matchLabels: { app: x } }
  template:
    metadata: { labels: { app: x } }
    spec: { containers: [{ name: a, image: x, ports: [{ containerPort: 80 }] }] }
`;

function writeChart(folder: string): string {
  const chart = join(folder, "chart");
  mkdirSync(join(chart, "templates"), { recursive: true });
  writeFileSync(join(chart, "Chart.yaml"), "apiVersion: v2\nname: chart\nversion: 0.1.0\n");
  writeFileSync(join(chart, "values.yaml"), 'key: "1"\n');
  writeFileSync(join(chart, "templates/config.yaml"), CONFIG);
  writeFileSync(join(chart, "templates/deployment.yaml"), DEPLOYMENT);
  return chart;
}

test.each(VERSIONS)(
  "helm of layer %s installs, upgrades, rolls back and uninstalls",
  async (version) => {
    await using api = await startTestApi();
    const env = api.kubectlEnv;
    const chart = writeChart(env["HOME"] ?? "");
    const program = await helmPath(version);
    const helm = async (...args: string[]) => {
      const child = Bun.spawn([program, ...args], { stdio: ["ignore", "pipe", "pipe"], env });
      const [out, err, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
      if (code !== 0) throw new Error(`helm ${args.join(" ")} ended with ${code}: ${err}${out}`);
      return out;
    };
    const key = async () => (await api.call("/api/v1/namespaces/default/configmaps/r")).body["data"];
    expect(await helm("install", "r", chart)).toContain("STATUS: deployed");
    expect(await key()).toEqual({ key: "1" });
    await helm("upgrade", "r", chart, "--set-string", "key=2");
    expect(await key()).toEqual({ key: "2" });
    await helm("rollback", "r", "1");
    expect(await key()).toEqual({ key: "1" });
    expect(JSON.parse(await helm("list", "-o", "json"))).toMatchObject([{ name: "r", revision: "3" }]);
    await helm("uninstall", "r");
    expect(await key()).toBeUndefined();
    expect(api.bugs).toEqual([]);
  },
  30_000,
);
