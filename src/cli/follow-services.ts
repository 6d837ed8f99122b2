/** The Services that answer on this machine, told of by the foreground view of `pillion up` once a pod is behind them. */
import { SERVICE_NAME_LABEL } from "../k8s/service-routes.ts";
import type { EndpointSlice } from "../../generated/kubernetes.ts";
import type { KubeObject } from "../k8s/object.ts";
import type { ApiClient } from "./api-client.ts";
import type { Terminal } from "./command.ts";
import { listThenWatch, type ObjectChange } from "./list-then-watch.ts";
import { lineOf } from "./applied-services.ts";

const SERVICES = "/api/v1/services";
const SLICES = "/apis/discovery.k8s.io/v1/endpointslices";

/** Runs until `signal` aborts or the cluster is gone. */
export async function followServices(
  api: ApiClient,
  terminal: Pick<Terminal, "err">,
  signal: AbortSignal,
): Promise<void> {
  const view = new ServiceView((line) => terminal.err(`${line}\n`));
  const follow = async (collection: string, note: (change: ObjectChange) => void) => {
    while (!signal.aborted) for await (const change of listThenWatch(api, collection, signal)) note(change);
  };
  await Promise.all([
    follow(SERVICES, (change) => view.noteService(change)),
    follow(SLICES, (change) => view.noteSlice(change)),
  ]);
}

/** Pure but for `print`, which gets each line once, and again when an address changes. */
export class ServiceView {
  readonly #print: (line: string) => void;
  /** By `namespace/name`: the line that its addresses make. */
  readonly #lines = new Map<string, string>();
  /** By the uid of the slice: which Service it makes reachable. */
  readonly #reached = new Map<string, string>();
  readonly #printed = new Map<string, string>();

  constructor(print: (line: string) => void) {
    this.#print = print;
  }

  noteService({ type, object }: ObjectChange): void {
    const key = `${object.metadata.namespace}/${object.metadata.name}`;
    const line = type === "DELETED" ? undefined : lineOf(object);
    if (line === undefined) {
      this.#lines.delete(key);
      this.#printed.delete(key);
    } else this.#lines.set(key, line);
    this.#show(key);
  }

  noteSlice({ type, object }: ObjectChange): void {
    const { namespace, labels, uid = "" } = object.metadata;
    const key = `${namespace}/${labels?.[SERVICE_NAME_LABEL] ?? ""}`;
    const { endpoints } = object as KubeObject & EndpointSlice;
    // Null is what a slice without endpoints may come as.
    const isReady = (endpoints ?? []).some(({ conditions }) => conditions?.ready !== false);
    if (type !== "DELETED" && isReady) this.#reached.set(uid, key);
    else this.#reached.delete(uid);
    this.#show(key);
  }

  #show(key: string): void {
    const line = this.#lines.get(key);
    if (line === undefined || this.#printed.get(key) === line) return;
    if (![...this.#reached.values()].includes(key)) return;
    this.#printed.set(key, line);
    this.#print(line);
  }
}
