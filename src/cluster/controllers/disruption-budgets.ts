/** Tells in every PodDisruptionBudget's status how many of its Pods may go (controller/disruption). */
import type { Condition, Pod } from "../../../generated/kubernetes.ts";
import {
  type BudgetState,
  BUDGETS,
  BudgetError,
  budgetState,
  covers,
  type DisruptionBudget,
  recheckInMs,
} from "../../k8s/disruption-budget.ts";
import type { KubeObject } from "../../k8s/object.ts";
import { formatTimestamp } from "../../k8s/timestamp.ts";
import { createEventRecorder, type EventRecorder, referenceTo } from "../store/event-recorder.ts";
import { keyOf, placeOfKey } from "../../k8s/object-name.ts";
import type { ControllerParts } from "./controller.ts";
import { createWorkQueue } from "./work-queue.ts";

/** Whose scale budgets ask for. */
const OWNERS = ["replicasets.apps", "deployments.apps", "statefulsets.apps", "replicationcontrollers"];
const ALLOWED = "DisruptionAllowed";
const UNMANAGED =
  'As a result, the status of the PDB cannot be calculated correctly, which may result in undefined behavior. To account for these pods please set ".spec.minAvailable" field of the PDB to an integer value.';

interface Context extends Pick<ControllerParts, "store" | "clock"> {
  readonly events: EventRecorder;
}

/** Until the returned function is called. */
export function startDisruptionBudgetController(parts: Pick<ControllerParts, "store" | "clock">): () => void {
  const { store, clock } = parts;
  const events = createEventRecorder({ store, clock, component: "controllermanager", host: "" });
  const queue = createWorkQueue(clock, (key) => {
    const waitMs = sync({ store, clock, events }, key);
    if (waitMs !== undefined) queue.addAfter(key, waitMs);
  });
  const addAll = ({ metadata: { namespace = "" } }: KubeObject) => {
    for (const budget of store.list(BUDGETS, { namespace }).items) queue.add(keyOf(budget.metadata));
  };
  const stops = [
    store.watch(BUDGETS, {}, ({ object, type }) => {
      if (type !== "BOOKMARK") queue.add(keyOf(object.metadata));
    }),
    // Labels may have changed: the budgets that covered the Pod before count, too.
    ...["pods", ...OWNERS].map((resource) =>
      store.watch(resource, { sendInitialEvents: false }, ({ object, type }) => {
        if (type !== "BOOKMARK") addAll(object);
      }),
    ),
  ];
  return () => {
    for (const stop of stops) stop();
    queue.stop();
  };
}

/** Milliseconds after which it wants to be looked at again. */
function sync(context: Context, key: string): number | undefined {
  const { store, clock } = context;
  const at = placeOfKey(key);
  const budget: DisruptionBudget | undefined = store.get(BUDGETS, at);
  if (budget === undefined) return undefined;
  const now = clock.now();
  const pods: Pod[] = store
    .list("pods", { namespace: at.namespace })
    .items.filter((pod) => covers(budget, pod));
  const before = budget.status;
  try {
    const state = budgetState({ budget, pods, now, read: (resource, at) => store.get(resource, at) });
    const written = writeStatus(context, budget, budgetStatus(budget, state, now));
    if (written["status"] !== before) tell(context, budget, { pods, unmanaged: state.unmanaged });
    return recheckInMs(state, now);
  } catch (error) {
    if (!(error instanceof BudgetError)) throw error;
    const written = writeStatus(context, budget, failedStatus(budget, error.message, now));
    if (written["status"] !== before) {
      const message = `Failed to calculate the number of expected pods: ${error.message}`;
      warn(context, budget, { reason: "CalculateExpectedPodCountFailed", message });
    }
    return undefined;
  }
}

function writeStatus({ store }: Context, budget: DisruptionBudget, status: object): KubeObject {
  const { namespace = "", name = "" } = budget.metadata;
  const change = (current: KubeObject) => ({ ...current, status });
  return store.update(BUDGETS, { namespace, name }, change, { subresource: "status" });
}

/** Said when something about it has changed, not with every look. */
function tell(
  context: Context,
  budget: DisruptionBudget,
  { pods, unmanaged }: { readonly pods: readonly Pod[]; readonly unmanaged: readonly string[] },
): void {
  const about = referenceTo(budget);
  if (pods.length === 0)
    context.events.record({ about, type: "Normal", reason: "NoPods", message: "No matching pods found" });
  if (unmanaged.length === 0) return;
  const selector = JSON.stringify(budget.spec?.selector ?? {});
  const message = `Pods selected by this PodDisruptionBudget (selector: ${selector}) were found to be unmanaged. ${UNMANAGED}`;
  warn(context, budget, { reason: "UnmanagedPods", message });
}

function warn(
  { events }: Context,
  budget: DisruptionBudget,
  event: { readonly reason: string; readonly message: string },
): void {
  events.record({ about: referenceTo(budget), type: "Warning", ...event });
}

function budgetStatus(budget: DisruptionBudget, state: BudgetState, now: number) {
  const { unmanaged: _, disruptedPods, ...numbers } = state;
  const isAllowed = numbers.disruptionsAllowed > 0;
  const condition = {
    status: isAllowed ? "True" : "False",
    reason: isAllowed ? "SufficientPods" : "InsufficientPods",
    message: "",
  };
  return {
    ...numbers,
    ...generationOf(budget),
    ...(Object.keys(disruptedPods).length === 0 ? {} : { disruptedPods }),
    conditions: conditionsWith(budget, condition, now),
  };
}

/** Nothing may go as long as nobody knows how many there are (`failSafe`). */
function failedStatus(budget: DisruptionBudget, message: string, now: number) {
  const condition = { status: "False", reason: "SyncFailed", message };
  const none = { currentHealthy: 0, desiredHealthy: 0, expectedPods: 0 };
  return {
    ...none,
    ...budget.status,
    ...generationOf(budget),
    disruptionsAllowed: 0,
    conditions: conditionsWith(budget, condition, now),
  };
}

function generationOf({ metadata: { generation } }: KubeObject): { readonly observedGeneration?: number } {
  return generation === undefined ? {} : { observedGeneration: generation };
}

function conditionsWith(
  budget: DisruptionBudget,
  condition: Pick<Condition, "status" | "reason" | "message">,
  now: number,
): Condition[] {
  const all = budget.status?.conditions ?? [];
  const before = all.find(({ type }) => type === ALLOWED);
  const isSame = before?.status === condition.status;
  const lastTransitionTime = isSame ? before.lastTransitionTime : formatTimestamp(now);
  const others = all.filter(({ type }) => type !== ALLOWED);
  return [...others, { type: ALLOWED, ...condition, ...generationOf(budget), lastTransitionTime }];
}
