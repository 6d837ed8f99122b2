import { describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { kubectlPath } from "../testing/kubectl.ts";
import { readManifests } from "./manifests.ts";
import { installChart, kustomizeFolder, type RunTool, type ToolResult } from "./tools.ts";

class Folder implements Disposable {
  readonly path = mkdtempSync(join(tmpdir(), "pillion-tools-"));

  write(name: string, text: string): this {
    mkdirSync(dirname(join(this.path, name)), { recursive: true });
    writeFileSync(join(this.path, name), text);
    return this;
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true });
  }
}

const CONFIG_MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: settings }\ndata: { a: b }\n";

/** kubectl as it is; nothing else is on the PATH. */
const realKubectl: RunTool = async ([program = "", ...rest]) => {
  if (program !== "kubectl") return undefined;
  const child = Bun.spawn([await kubectlPath("35"), ...rest], { stdout: "pipe", stderr: "pipe" });
  const [stdout, stderr, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { code, stdout, stderr };
};

const nothing: RunTool = () => Promise.resolve(undefined);

function answering(result: Partial<ToolResult>): { readonly run: RunTool; readonly calls: string[][] } {
  const calls: string[][] = [];
  const run: RunTool = (argv) => {
    calls.push([...argv]);
    return Promise.resolve({ code: 0, stdout: "", stderr: "", ...result });
  };
  return { run, calls };
}

function read(path: string, run: RunTool) {
  const kustomize = (folder: string) => kustomizeFolder(run, folder);
  return readManifests([path], { cwd: "/", readStdin: () => Promise.resolve(""), kustomize });
}

describe("a kustomization", () => {
  test("is read as kubectl builds it", async () => {
    using folder = new Folder()
      .write("base/settings.yaml", CONFIG_MAP)
      .write("base/kustomization.yaml", "resources: [settings.yaml]\nnamePrefix: dev-\n");
    const { manifests, charts } = await read(join(folder.path, "base"), realKubectl);
    expect({ names: manifests.map(({ object }) => object.metadata.name), charts }).toEqual({
      names: ["dev-settings"],
      charts: [],
    });
  });

  test("that is wrong is refused in kustomize's words", async () => {
    using folder = new Folder().write("kustomization.yaml", "resources: [missing.yaml]\n");
    const refused = read(folder.path, realKubectl);
    await expect(refused).rejects.toMatchObject({
      code: "E_KUSTOMIZATION",
      message: expect.stringContaining("missing.yaml"),
    });
  });

  test("needs kubectl or kustomize", async () => {
    using folder = new Folder().write("kustomization.yaml", "resources: []\n");
    await expect(read(folder.path, nothing)).rejects.toMatchObject({ code: "E_NO_KUSTOMIZE" });
  });
});

describe("a chart", () => {
  test("is found by its Chart.yaml, and left to helm; the image map may stand beside it", async () => {
    using folder = new Folder().write("chart/Chart.yaml", "name: web\n").write("chart/values.yaml", "a: 1\n");
    folder.write(".pillion/images.yaml", "images: {}\n");
    expect(await read(join(folder.path, "chart"), nothing)).toEqual({
      manifests: [],
      charts: [join(folder.path, "chart")],
      imageMaps: [join(folder.path, ".pillion/images.yaml")],
    });
  });

  test("becomes a release of its own name", async () => {
    using folder = new Folder().write("Chart.yaml", "name: web\n");
    const helm = answering({ stdout: "installed\n" });
    const installed = installChart(helm.run, folder.path, { kubeconfig: "/kubeconfig", waitSeconds: 5 });
    expect(await installed).toBe("installed\n");
    expect(helm.calls).toEqual([
      ["helm", "upgrade", "--install", "web", folder.path, "--namespace=default", "--wait", "--timeout=5s"],
    ]);
  });

  test.each([
    ["name: [", "E_CHART"],
    ["version: 1.0.0", "E_CHART"],
    ["", "E_CHART"],
    ["name: web", "E_NO_HELM"],
  ])("%p cannot be installed without helm: %s", async (text, code) => {
    using folder = new Folder().write("Chart.yaml", text);
    const installed = installChart(nothing, folder.path, { kubeconfig: "/kubeconfig" });
    await expect(installed).rejects.toMatchObject({ code });
  });

  test.each([
    ["walk.go:75: found symbolic link\nError: no template\n", "no template"],
    [
      'level=WARN msg="x"\nError: INSTALLATION FAILED: 1 error occurred:\n\t* a is wrong\n\n\n',
      "INSTALLATION FAILED: 1 error occurred: * a is wrong",
    ],
    [
      "Error: INSTALLATION FAILED: resource Deployment/default/a not ready.\ncontext deadline exceeded\n",
      "INSTALLATION FAILED: resource Deployment/default/a not ready. context deadline exceeded",
    ],
    ["killed\n", "killed"],
  ])("that helm refuses is refused in helm's words: %j", async (stderr, words) => {
    using folder = new Folder().write("Chart.yaml", "name: web\n");
    const helm = answering({ code: 1, stderr });
    await expect(installChart(helm.run, folder.path, { kubeconfig: "/kubeconfig" })).rejects.toMatchObject({
      code: "E_CHART_REFUSED",
      message: `Cannot install the chart "${folder.path}": ${words}`,
    });
  });

  test.each([
    ["3.17", 'W1121 16:54:12.166138   23634 warnings.go:70] pillion: "x" is stored\n'],
    ["4.1", String.raw`I1121 16:54:18.8 24028 warnings.go:107] "Warning: pillion: \"x\" is stored"` + "\n"],
  ])("passes on what the API warns helm %s of, once", async (_, stderr) => {
    using folder = new Folder().write("Chart.yaml", "name: web\n");
    const helm = answering({ stdout: "installed\n", stderr: stderr + stderr });
    expect(await installChart(helm.run, folder.path, { kubeconfig: "/kubeconfig" })).toBe(
      'Warning: pillion: "x" is stored\ninstalled\n',
    );
  });
});
