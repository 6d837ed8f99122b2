/** Other people's programs that `up -f` needs for what only they can read: helm for charts, kubectl for kustomizations. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { messageOf, Problem } from "../kernel/problem.ts";
import { printable } from "./printable.ts";

export interface ToolResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program from PATH to its end; `undefined` when there is no such program. */
export type RunTool = (
  argv: readonly string[],
  env: Readonly<Record<string, string>>,
) => Promise<ToolResult | undefined>;

/** The manifests of a kustomization. `E_NO_KUSTOMIZE`, or `E_KUSTOMIZATION` in the tool's own words. */
export async function kustomizeFolder(run: RunTool, folder: string): Promise<string> {
  const built =
    (await run(["kubectl", "kustomize", folder], {})) ?? (await run(["kustomize", "build", folder], {}));
  if (built === undefined) {
    throw new Problem({
      code: "E_NO_KUSTOMIZE",
      message: `Cannot read the kustomization "${folder}": neither kubectl nor kustomize is on PATH`,
      fix: "Install kubectl 1.29 or newer, which contains kustomize",
    });
  }
  if (built.code === 0) return built.stdout;
  throw new Problem({
    code: "E_KUSTOMIZATION",
    message: `Cannot read the kustomization "${folder}": ${lastLine(built.stderr)}`,
    fix: "Correct it; `kubectl kustomize` shows what it makes",
  });
}

export interface ChartInstallation {
  readonly kubeconfig: string;
  /** Seconds to wait for what the chart makes; absent: it is not waited for. */
  readonly waitSeconds?: number;
}

/**
 * Installs the chart, or upgrades the release that bears its name, in namespace `default`; gives what helm prints, the
 * API's warnings first.
 * `E_NO_HELM`, `E_CHART` for a chart without a name, `E_CHART_REFUSED` in helm's own words.
 */
export async function installChart(
  run: RunTool,
  folder: string,
  { kubeconfig, waitSeconds }: ChartInstallation,
): Promise<string> {
  const wait = waitSeconds === undefined ? [] : ["--wait", `--timeout=${waitSeconds}s`];
  const argv = ["helm", "upgrade", "--install", chartName(folder), folder, "--namespace=default", ...wait];
  const result = await run(argv, { KUBECONFIG: kubeconfig });
  if (result === undefined) {
    throw new Problem({
      code: "E_NO_HELM",
      message: `Cannot install the chart "${folder}": helm is not on PATH`,
      fix: "Install helm 3.17 or newer, or give `-f` what `helm template` prints",
    });
  }
  if (result.code === 0) return warningsOf(result.stderr) + result.stdout;
  throw new Problem({
    code: "E_CHART_REFUSED",
    message: `Cannot install the chart "${folder}": ${errorOf(result.stderr)}`,
    fix: "Correct the chart; `helm lint` and `pillion events` may say more",
  });
}

/** A release is called as its chart. */
export function chartName(folder: string): string {
  const file = join(folder, "Chart.yaml");
  let name: unknown;
  try {
    name = (parse(readFileSync(file, "utf8")) as { readonly name?: unknown } | null)?.name;
  } catch (cause) {
    throw notAChart(file, messageOf(cause), cause);
  }
  if (typeof name === "string" && name !== "") return name;
  throw notAChart(file, "it has no `name`");
}

function notAChart(file: string, why: string, cause?: unknown): Problem {
  return new Problem({
    code: "E_CHART",
    message: `Cannot read "${file}": ${why.split("\n")[0]}`,
    fix: "Give the chart `apiVersion: v2`, a `name` and a `version`",
    cause,
  });
}

/** Helm logs a warning of the API as client-go does: 3.17 as it is, 4.1 quoted. */
function warningsOf(stderr: string): string {
  const found = [...stderr.matchAll(/warnings\.go:\d+\] (?:"Warning: (.*)"|(.*))$/gm)];
  const texts = found.map(([, quoted, plain = ""]) => quoted?.replaceAll(/\\(.)/g, "$1") ?? plain);
  return [...new Set(texts)].map((text) => `Warning: ${text}\n`).join("");
}

/** Helm's error in one line: one of several, or of a chart that is not ready in time, takes more. */
function errorOf(stderr: string): string {
  const [, error] = /(?:^|\n)Error: ([^]*)$/.exec(stderr) ?? [];
  return error === undefined ? lastLine(stderr) : printable(error.trim());
}

function lastLine(text: string): string {
  return text.trim().split("\n").at(-1) ?? "";
}
