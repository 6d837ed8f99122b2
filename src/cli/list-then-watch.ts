/** What is in a collection, then what changes there, for whoever waits for objects or shows them. */
import type { KubeObject } from "../k8s/object.ts";
import type { ApiClient, ListResponse } from "./api-client.ts";

export interface ObjectChange {
  /** What is there already is `ADDED`. */
  readonly type: "ADDED" | "MODIFIED" | "DELETED";
  readonly object: KubeObject;
}

/** Ends with `signal` or with the watch. */
export async function* listThenWatch(
  api: ApiClient,
  collection: string,
  signal: AbortSignal,
): AsyncGenerator<ObjectChange> {
  const list = await api.request<ListResponse>(collection);
  const kind = (list as { readonly kind?: string }).kind?.replace(/List$/, "");
  // Items of a list carry no kind of their own.
  for (const item of list.items) yield { type: "ADDED", object: { ...item, kind: item.kind ?? kind ?? "" } };
  try {
    for await (const { type, object } of api.watch(collection, list.metadata.resourceVersion, signal)) {
      if (type === "ERROR") return;
      if (type !== "BOOKMARK") yield { type, object };
    }
  } catch (error) {
    // Another collection, or the user, has ended the wait while this watch was being opened.
    if (!signal.aborted) throw error;
  }
}
