/** Ends the watches of a custom resource when its definition goes or says something else, as a real server tears down its storage. */
import { type CustomVersion, DEFINITIONS } from "../../../k8s/custom/definition.ts";
import type { Store } from "../../store/store.ts";

/** Aborts with `signal`, or when the definition changes. */
export function untilRedefined(
  store: Pick<Store, "watch">,
  { definition }: CustomVersion,
  signal: AbortSignal,
): AbortSignal {
  const changed = new AbortController();
  const { name } = definition.metadata;
  const stop = store.watch(
    DEFINITIONS,
    { sendInitialEvents: false, matches: ({ metadata }) => metadata.name === name },
    // What is equal is the same value in the store.
    ({ type, object }) => {
      if (type === "DELETED" || object["spec"] !== definition.spec) changed.abort();
    },
  );
  changed.signal.addEventListener("abort", stop);
  if (signal.aborted) changed.abort();
  else signal.addEventListener("abort", () => changed.abort(), { once: true });
  return changed.signal;
}
