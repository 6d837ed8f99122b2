/** `pillion ps`, `logs` and `events`: the short views, for machines without kubectl. */
import type { Pod } from "../../../generated/kubernetes.ts";
import { Problem } from "../../kernel/problem.ts";
import { nearest } from "../../lib/nearest.ts";
import { ApiClient, type ListResponse } from "../api-client.ts";
import {
  type Command,
  EXIT,
  type Invocation,
  nameOption,
  type Option,
  outputOption,
  stringOption,
  type Terminal,
  UsageError,
  wantsJson,
} from "../command.ts";
import { requireEngine, stateFolderOf } from "../state-folder.ts";
import { type ApiTable, formatTable, TABLE_ACCEPT } from "../table.ts";

const namespaceOption: Option = {
  type: "string",
  short: "n",
  value: "NAMESPACE",
  description: "Namespace of the pods (default: default).",
};

function apiOf(invocation: Invocation, terminal: Terminal): ApiClient {
  const folder = stateFolderOf(terminal.env, stringOption(invocation, "name"));
  requireEngine(folder);
  return new ApiClient(folder.kubeconfig);
}

type Row = ApiTable["rows"][number];

/** What rows carry with `includeObject=Object`, as far as the short views read it. */
interface RowObject {
  readonly metadata: { readonly namespace?: string; readonly creationTimestamp?: string };
  readonly lastTimestamp?: string | null;
}

interface ListView {
  readonly resource: "pods" | "events";
  readonly order?: (a: RowObject, b: RowObject) => number;
}

async function printList(view: ListView, invocation: Invocation, terminal: Terminal): Promise<number> {
  const namespace = stringOption(invocation, "namespace");
  const scope = namespace === undefined ? "" : `/namespaces/${encodeURIComponent(namespace)}`;
  const path = `/api/v1${scope}/${view.resource}`;
  const api = apiOf(invocation, terminal);
  if (wantsJson(invocation)) {
    terminal.out(`${JSON.stringify(await api.request<ListResponse>(path), undefined, 2)}\n`);
    return EXIT.done;
  }
  const table = await api.request<ApiTable>(`${path}?includeObject=Object`, { accept: TABLE_ACCEPT });
  const { order = () => 0 } = view;
  const rows = table.rows.toSorted((a, b) => order(objectOf(a), objectOf(b)));
  if (rows.length === 0) terminal.err(`no ${view.resource}\n`);
  else
    terminal.out(
      formatTable(namespace === undefined ? withNamespaces({ ...table, rows }) : { ...table, rows }),
    );
  return EXIT.done;
}

function objectOf({ object }: Row): RowObject {
  return object as RowObject;
}

/** kubectl adds this column by itself for `-A`; the server does not send it. */
function withNamespaces({ columnDefinitions, rows }: ApiTable): ApiTable {
  return {
    columnDefinitions: [{ name: "Namespace", priority: 0 }, ...columnDefinitions],
    rows: rows.map((row) => ({ ...row, cells: [objectOf(row).metadata.namespace ?? "", ...row.cells] })),
  };
}

function byLastSeen(a: RowObject, b: RowObject): number {
  const time = ({ lastTimestamp, metadata }: RowObject) => lastTimestamp ?? metadata.creationTimestamp ?? "";
  return time(a).localeCompare(time(b));
}

export const psCommand: Command = {
  name: "ps",
  summary: "List the pods",
  usage: "[-n NAMESPACE] [-o json]",
  options: {
    namespace: { ...namespaceOption, description: "Only this namespace (default: all)." },
    output: outputOption,
    name: nameOption,
  },
  examples: ["pillion ps", "pillion ps -n default -o json"],
  run: (invocation, terminal) => printList({ resource: "pods" }, invocation, terminal),
};

export const eventsCommand: Command = {
  name: "events",
  summary: "List what happened, oldest first",
  usage: "[-n NAMESPACE] [-o json]",
  options: {
    namespace: { ...namespaceOption, description: "Only this namespace (default: all)." },
    output: outputOption,
    name: nameOption,
  },
  examples: ["pillion events", "pillion events -o json"],
  run: (invocation, terminal) => printList({ resource: "events", order: byLastSeen }, invocation, terminal),
};

export const logsCommand: Command = {
  name: "logs",
  summary: "Print what a pod's containers have written",
  usage: "POD [-c CONTAINER] [-f] [-n NAMESPACE]",
  options: {
    container: {
      type: "string",
      short: "c",
      value: "NAME",
      description: "One container (default: all, each line with its container's name).",
    },
    follow: { type: "boolean", short: "f", description: "Go on until the containers end or Ctrl-C." },
    previous: { type: "boolean", short: "p", description: "Of the instance before the last restart." },
    tail: { type: "string", value: "LINES", description: "Only the last lines." },
    namespace: namespaceOption,
    name: nameOption,
  },
  examples: ["pillion logs streaming-logs", "pillion logs streaming-logs -c sidecar -f"],
  run: runLogs,
};

async function runLogs(invocation: Invocation, terminal: Terminal): Promise<number> {
  const [name, ...more] = invocation.positionals;
  if (name === undefined || more.length > 0) {
    throw new UsageError({
      code: "E_USAGE",
      message: `Cannot print logs: ${name === undefined ? "no pod is named" : "more than one pod is named"}`,
      fix: "Name one, for example `pillion logs streaming-logs`; `pillion ps` lists them",
    });
  }
  const api = apiOf(invocation, terminal);
  const pods = `/api/v1/namespaces/${encodeURIComponent(stringOption(invocation, "namespace") ?? "default")}/pods`;
  const pod = await findPod(api, pods, name.replace(/^pods?\//, ""));
  const wanted = stringOption(invocation, "container");
  const all = [...(pod.spec?.initContainers ?? []), ...(pod.spec?.containers ?? [])].map(
    (container) => container.name,
  );
  const containers = wanted === undefined ? all : [wanted];
  const query = new URLSearchParams();
  if (invocation.options["follow"] === true) query.set("follow", "true");
  if (invocation.options["previous"] === true) query.set("previous", "true");
  const tail = stringOption(invocation, "tail");
  if (tail !== undefined) query.set("tailLines", tail);
  const print = async (container: string) => {
    const path = `${pods}/${pod.metadata?.name}/log?${query.toString()}&container=${encodeURIComponent(container)}`;
    const prefix = containers.length > 1 ? `[${container}] ` : "";
    for await (const line of api.lines(path, terminal.stop)) terminal.out(`${prefix}${line}\n`);
  };
  if (query.has("follow")) await Promise.all(containers.map(print));
  else for (const container of containers) await print(container);
  return EXIT.done;
}

async function findPod(api: ApiClient, pods: string, name: string): Promise<Pod> {
  const found = await api.find(`${pods}/${encodeURIComponent(name)}`);
  if (found !== undefined) return found;
  const { items } = await api.request<ListResponse>(pods);
  const names = items.map(({ metadata }) => metadata.name ?? "");
  const guess = nearest(name, names);
  throw new Problem({
    code: "E_NO_SUCH_POD",
    message: `Cannot find pod "${name}": ${
      names.length === 0
        ? "there are no pods"
        : `the pods are ${names
            .slice(0, 10)
            .map((each) => `"${each}"`)
            .join(", ")}`
    }`,
    fix:
      guess === undefined ? "See `pillion ps` for all namespaces" : `Did you mean \`pillion logs ${guess}\`?`,
  });
}
