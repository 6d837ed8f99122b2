/** `pillion up`: starts the cluster, applies what `-f` names, waits until it is ready; in the foreground, shows it. */
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { Problem } from "../../kernel/problem.ts";
import { ApiClient } from "../api-client.ts";
import { applyManifests } from "../apply.ts";
import { linesOfServices } from "../applied-services.ts";
import {
  type Command,
  EXIT,
  type Invocation,
  listOption,
  nameOption,
  stringOption,
  type Terminal,
  UsageError,
} from "../command.ts";
import type { EngineControl, EngineOptions } from "../engine-control.ts";
import type { ImageAnswer } from "./images.ts";
import { followPods } from "../follow-pods.ts";
import { type ManifestSet, readManifests } from "../manifests.ts";
import { parseRestartPeriod } from "../restart-period.ts";
import { runForeground } from "../run-foreground.ts";
import { openStateFolder, runningEngine, type StateFolder, stateFolderOf } from "../state-folder.ts";
import { chartName, installChart, kustomizeFolder, type RunTool } from "../tools.ts";
import { type AwaitedObject, waitReady, type WaitResult } from "../wait-ready.ts";

const DEFAULT_TIMEOUT_SECONDS = 300;

/** The command, given a way to start engines. */
export function upCommand(control: EngineControl, runTool: RunTool): Command {
  return {
    name: "up",
    summary: "Start the local cluster, apply manifests and wait until their pods are ready",
    usage: "[-f FILE|DIR|-]... [-d] [--keep] [--name NAME] [--images FILE] [--port PORT]",
    options: {
      file: {
        type: "string",
        short: "f",
        multiple: true,
        value: "FILE",
        description:
          "Manifest, folder of manifests, kustomization, Helm chart, or - for standard input; may be repeated.",
      },
      detach: {
        type: "boolean",
        short: "d",
        description: "Return once everything is ready; the cluster stays.",
      },
      name: nameOption,
      images: {
        type: "string",
        multiple: true,
        value: "FILE",
        description:
          "Image map: which image names run from this machine (also read: .pillion/images.yaml beside a manifest).",
      },
      port: {
        type: "string",
        value: "PORT",
        description: "Port of the API on 127.0.0.1 (default: any free one).",
      },
      timeout: {
        type: "string",
        value: "SECONDS",
        description: `How long to wait for pods with -d (default: ${DEFAULT_TIMEOUT_SECONDS}).`,
      },
      "host-path": {
        type: "string",
        multiple: true,
        value: "DIR",
        description: "A folder of this machine that hostPath volumes may use; may be repeated.",
      },
      "allow-privileged": {
        type: "boolean",
        description: "Let containers ask for `privileged: true`. They can then harm this machine.",
      },
      keep: {
        type: "boolean",
        description:
          "Pods go on when the cluster ends, also by Ctrl-C or a crash; the next `up` takes them over.",
      },
      "max-restart-period": {
        type: "string",
        value: "DURATION",
        description: "Longest wait between restarts of a crashing container, 1s to 300s (default: 300s).",
      },
    },
    examples: [
      "pillion up -f examples/streaming-logs      # foreground: status and logs; Ctrl-C ends and removes everything",
      'pillion up -d -f pod.yaml                  # background; then: eval "$(pillion env)" and use kubectl',
      "pillion up -d --name ci --host-path ./data # a second cluster, with a real folder for hostPath volumes",
    ],
    run: (invocation, terminal) => runUp({ control, runTool }, invocation, terminal),
  };
}

interface UpTools {
  readonly control: EngineControl;
  readonly runTool: RunTool;
}

async function runUp(tools: UpTools, invocation: Invocation, terminal: Terminal): Promise<number> {
  const { control, runTool } = tools;
  const folder = stateFolderOf(terminal.env, stringOption(invocation, "name"));
  const kustomize = (path: string) => kustomizeFolder(runTool, path);
  const set = await readManifests(listOption(invocation, "file"), { ...terminal, kustomize });
  const options = engineOptions(invocation, { folder, set, terminal });
  openStateFolder(folder);
  const running = runningEngine(folder);
  if (running !== undefined)
    return await applyToRunning(tools, { invocation, terminal, options, set, port: running.port });
  const startedAt = performance.now();
  const engine = await control.start(options);
  const took = Math.round(performance.now() - startedAt);
  terminal.err(
    `cluster "${folder.cluster}" is up on https://127.0.0.1:${engine.port} (${engine.tier}, ${took} ms)\n`,
  );
  if (engine.adopted > 0) terminal.err(`${pods(engine.adopted)} of before: taken over\n`);
  for (const limit of engine.limits) terminal.err(`note: ${limit}\n`);
  const api = new ApiClient(folder.kubeconfig);
  if (options.detached) return await applyAndWait(api, { invocation, terminal, set, folder, runTool });
  const { keep } = options;
  const apply = () => applyAll(api, { terminal, set, folder, runTool });
  return await runForeground(api, { terminal, engine, folder, control, keep, apply });
}

interface UpContext {
  readonly folder: StateFolder;
  readonly set: ManifestSet;
  readonly terminal: Terminal;
}

function engineOptions(invocation: Invocation, { folder, set, terminal }: UpContext): EngineOptions {
  const port = Number(stringOption(invocation, "port") ?? 0);
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    throw new UsageError({
      code: "E_USAGE",
      message: `Cannot listen on port "${stringOption(invocation, "port")}": it is no port number`,
      fix: "Use a number from 1 to 65535, or leave `--port` out",
    });
  }
  if (invocation.positionals.length > 0) {
    throw new UsageError({
      code: "E_USAGE",
      message: `Cannot use "${invocation.positionals[0]}": "pillion up" takes options only`,
      fix: `Use \`-f ${invocation.positionals[0]}\` to apply it`,
    });
  }
  const period = stringOption(invocation, "max-restart-period");
  const resolveExisting = (path: string) => {
    const full = resolve(terminal.cwd, path);
    if (existsSync(full)) return full;
    throw new Problem({
      code: "E_NO_SUCH_PATH",
      message: `Cannot use "${path}": there is no such file or folder`,
      fix: "Correct the path, or create it first",
    });
  };
  return {
    folder,
    detached: invocation.options["detach"] === true,
    port,
    imageMaps: [...listOption(invocation, "images").map(resolveExisting), ...set.imageMaps],
    hostPaths: listOption(invocation, "host-path").map(resolveExisting),
    allowPrivileged: invocation.options["allow-privileged"] === true,
    keep: invocation.options["keep"] === true,
    ...(period === undefined ? {} : { maxRestartPeriodMs: parseRestartPeriod(period) }),
  };
}

interface ApplyContext extends UpContext {
  readonly invocation: Invocation;
  readonly runTool: RunTool;
}

/** `up -f` on a running cluster applies to it; `up -d` finds what it wants to have. */
async function applyToRunning(
  { control, runTool }: UpTools,
  {
    invocation,
    terminal,
    options,
    set,
    port,
  }: Omit<ApplyContext, "folder" | "runTool"> & { readonly options: EngineOptions; readonly port: number },
): Promise<number> {
  const { folder } = options;
  const needsStart =
    options.port !== 0 ||
    options.hostPaths.length > 0 ||
    options.allowPrivileged ||
    options.keep ||
    options.maxRestartPeriodMs !== undefined;
  const isNothing = set.manifests.length + set.charts.length === 0;
  if (needsStart || (isNothing && !options.detached)) {
    throw new Problem({
      code: "E_ALREADY_RUNNING",
      message: `Cannot start cluster "${folder.cluster}": it is running already${needsStart ? ", and these options are for its start" : ""}`,
      fix: "Apply to it with `pillion up -f FILE`, end it with `pillion down`, or start another with `--name OTHER`",
    });
  }
  for (const map of options.imageMaps) {
    const call = { method: "POST", path: "image-map/files", body: { file: map } } as const;
    for await (const line of control.callImages(folder, call)) {
      const answer = JSON.parse(line) as ImageAnswer;
      if ("problem" in answer) throw new Problem(answer.problem);
    }
  }
  if (isNothing)
    terminal.err(`cluster "${folder.cluster}" is up on https://127.0.0.1:${port} (running already)\n`);
  const api = new ApiClient(folder.kubeconfig);
  return await applyAndWait(api, { invocation, terminal, set, folder, runTool });
}

async function applyAll(
  api: ApiClient,
  { terminal, set, folder, runTool }: Omit<ApplyContext, "invocation">,
  waitSeconds?: number,
): Promise<AwaitedObject[]> {
  const awaited: AwaitedObject[] = [];
  const warn = (text: string) => terminal.err(`Warning: ${text}\n`);
  for await (const { line, awaited: object } of applyManifests(api, set.manifests, warn)) {
    terminal.err(`${line}\n`);
    if (object !== undefined) awaited.push(object);
  }
  const { kubeconfig } = folder;
  const wait = waitSeconds === undefined ? {} : { waitSeconds };
  for (const chart of set.charts) terminal.err(await installChart(runTool, chart, { kubeconfig, ...wait }));
  return awaited;
}

async function applyAndWait(api: ApiClient, context: ApplyContext): Promise<number> {
  const { invocation, terminal } = context;
  const seconds = Number(stringOption(invocation, "timeout") ?? DEFAULT_TIMEOUT_SECONDS);
  const awaited = await applyAll(api, context, seconds);
  const signal = AbortSignal.any([terminal.stop, AbortSignal.timeout(seconds * 1000)]);
  const { ready, problems } =
    awaited.length === 0 ? NOTHING_TO_WAIT_FOR : await waitShown(api, { awaited, terminal, signal });
  const services = awaited.filter(({ singular }) => singular === "service");
  const names = new Set(services.map(({ namespace, name }) => `${namespace}/${name}`));
  const releases = new Set(context.set.charts.map(chartName));
  for (const line of await linesOfServices(api, { names, releases })) terminal.err(`${line}\n`);
  for (const problem of problems) terminal.err(`${problem}\n`);
  if (ready) return EXIT.done;
  terminal.err(
    "  fix: see `pillion events` and `pillion logs POD`, correct the manifest, and apply it again\n",
  );
  return EXIT.problem;
}

const NOTHING_TO_WAIT_FOR: WaitResult = { ready: true, problems: [] };

interface ShownWait {
  readonly awaited: readonly AwaitedObject[];
  readonly terminal: Terminal;
  readonly signal: AbortSignal;
}

/** Shows what pods do meanwhile, but not what they print. */
async function waitShown(api: ApiClient, { awaited, terminal, signal }: ShownWait): Promise<WaitResult> {
  const done = new AbortController();
  const quiet = { ...terminal, out: () => {} };
  const shown = followPods(api, quiet, AbortSignal.any([signal, done.signal])).catch(() => {});
  const result = await waitReady(api, awaited, signal);
  done.abort();
  await shown;
  return result;
}

function pods(count: number): string {
  return count === 1 ? "1 pod" : `${count} pods`;
}
