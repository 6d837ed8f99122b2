/** `pods/eviction`: a deletion that asks PodDisruptionBudgets first (registry/core/pod/storage/eviction.go). */
import type { Pod, PodCondition } from "../../../generated/kubernetes.ts";
import {
  BudgetError,
  BUDGETS,
  budgetState,
  covers,
  type DisruptionBudget,
} from "../../k8s/disruption-budget.ts";
import type { KubeObject } from "../../k8s/object.ts";
import { isFinished, isPodReady } from "../../k8s/pod.ts";
import { StatusError } from "../../k8s/status-error.ts";
import { formatTimestamp } from "../../k8s/timestamp.ts";
import { isJsonObject, type JsonObject } from "../../lib/frozen-json.ts";
import { badRequest, conflict, internalError } from "../store/api-errors.ts";
import type { DeleteOptions } from "../store/store.ts";
import type { ApiContext, NamedRequest } from "./api-context.ts";
import { deleteOptionsOf } from "./delete-verbs.ts";
import { type Answer, objectAnswer } from "./exchange.ts";
import { findObject } from "./read-verbs.ts";
import { writeOptions } from "./request-options.ts";
import { reviewRequest } from "./webhooks/reviewed-request.ts";
import { decodeRequest } from "./write-verbs.ts";

const KIND = { group: "policy", version: "v1", kind: "Eviction" } as const;
const WOULD_VIOLATE = "Cannot evict pod as it would violate the pod's disruption budget.";

/** 201 with a `Status`; `TooManyRequests` as long as a budget forbids it. */
export async function evictPod(named: NamedRequest): Promise<Answer> {
  const { context, request, target } = named;
  const query = writeOptions(request.query, "CreateOptions");
  const sent = await decodeRequest(request, KIND, query.fieldValidation);
  if ((sent.metadata?.name ?? "") !== target.name) {
    throw badRequest("name in URL does not match name in Eviction object");
  }
  const wanted = deleteOptionsOf(optionsIn(sent), "pods");
  const dryRun = query.dryRun || wanted.dryRun === true;
  findObject(named);
  const eviction = await reviewRequest(named, { operation: "CREATE", object: sent, dryRun });
  const pod: Pod = findObject(named);
  const options = deleteOptionsOf(optionsIn(eviction), "pods");
  if (!mayIgnoreBudgets(pod)) refuseByBudget(context, pod);
  removePod(context, pod, { ...options, dryRun });
  return objectAnswer({ kind: "Status", apiVersion: "v1", metadata: {}, status: "Success", code: 201 }, 201);
}

function optionsIn({ deleteOptions }: KubeObject): JsonObject {
  return isJsonObject(deleteOptions) ? deleteOptions : {};
}

/** A Pod that serves nobody, or is going anyway (`canIgnorePDB`). */
function mayIgnoreBudgets(pod: Pod): boolean {
  return isFinished(pod) || pod.status?.phase === "Pending" || pod.metadata?.deletionTimestamp !== undefined;
}

function refuseByBudget(context: ApiContext, pod: Pod): void {
  const { store } = context;
  const { name = "", namespace = "" } = pod.metadata ?? {};
  const budgets = (store.list(BUDGETS, { namespace }).items as DisruptionBudget[]).filter((one) =>
    covers(one, pod),
  );
  const [budget, ...others] = budgets;
  if (budget === undefined) return;
  if (others.length > 0) {
    throw internalError(
      "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.",
    );
  }
  const { disruptionsAllowed, currentHealthy, desiredHealthy } = numbersOf(context, budget);
  if (!isPodReady(pod)) {
    if (budget.spec?.unhealthyPodEvictionPolicy === "AlwaysAllow") return;
    if (currentHealthy >= desiredHealthy && desiredHealthy > 0) return;
  }
  if (disruptionsAllowed > 0) return;
  const message = `The disruption budget ${budget.metadata.name ?? ""} needs ${desiredHealthy} healthy pods and has ${currentHealthy} currently`;
  throw new StatusError("TooManyRequests", WOULD_VIOLATE, {
    name,
    kind: "pods",
    causes: [{ reason: "DisruptionBudget", message }],
  });
}

/** As the controller would write them now; where it cannot count, nothing may go. */
function numbersOf({ store, clock }: ApiContext, budget: DisruptionBudget) {
  const { namespace = "" } = budget.metadata;
  const pods = store.list("pods", { namespace }).items.filter((one) => covers(budget, one));
  try {
    return budgetState({ budget, pods, now: clock.now(), read: (resource, at) => store.get(resource, at) });
  } catch (error) {
    if (!(error instanceof BudgetError)) throw error;
    return { disruptionsAllowed: 0, currentHealthy: 0, desiredHealthy: 0 };
  }
}

function removePod({ store, clock }: ApiContext, { metadata = {} }: Pod, options: DeleteOptions): void {
  const { namespace = "", name = "", uid, resourceVersion } = metadata;
  const at = { namespace, name };
  const { preconditions } = options;
  const isOther = preconditions?.uid !== undefined && preconditions.uid !== uid;
  const isStale =
    preconditions?.resourceVersion !== undefined && preconditions.resourceVersion !== resourceVersion;
  if (isOther || isStale) {
    const [field, wanted, found] = isOther
      ? ["UID", preconditions.uid, uid]
      : ["ResourceVersion", preconditions?.resourceVersion, resourceVersion];
    throw conflict(
      "pods",
      name,
      `the ${field} in the precondition (${wanted}) does not match the ${field} in record (${found})`,
    );
  }
  if (options.dryRun !== true) {
    store.update("pods", at, (current) => withDisruption(current, clock.now()), { subresource: "status" });
  }
  // The condition has just changed the version that the client knew.
  const { preconditions: _, ...rest } = options;
  store.delete("pods", at, rest);
}

function withDisruption(current: KubeObject, now: number): KubeObject {
  const { status, metadata }: Pod = current;
  const others = (status?.conditions ?? []).filter(({ type }) => type !== "DisruptionTarget");
  const generation = metadata?.generation;
  const condition: PodCondition = {
    type: "DisruptionTarget",
    status: "True",
    reason: "EvictionByEvictionAPI",
    message: "Eviction API: evicting",
    lastTransitionTime: formatTimestamp(now),
    ...(generation === undefined ? {} : { observedGeneration: generation }),
  };
  return { ...current, status: { ...status, conditions: [...others, condition] } };
}
