/** The last statuses of a pod's containers: what ran and is not known to have ended counts as lost. */
import type { ContainerStatus, PodSpec } from "../../generated/kubernetes.ts";
import { isSidecar } from "./pod.ts";

const LOST = {
  exitCode: 137,
  reason: "ContainerStatusUnknown",
  message: "The container could not be located when the pod was terminated",
};

interface Statuses {
  /** In the order of the specification. */
  readonly init: readonly ContainerStatus[];
  readonly main: readonly ContainerStatus[];
}

/**
 * status_manager TerminatePod: once the pod was initialized every main container has to have ended; of the init
 * containers those that may have run, which is at least the first.
 */
export function settledStatuses(spec: PodSpec, { init, main }: Statuses): Statuses {
  const lastBegun = init.findLastIndex(
    ({ state, lastState }) => state?.waiting === undefined || lastState?.terminated !== undefined,
  );
  return {
    init: init.map((status, index) => (index <= Math.max(0, lastBegun) ? settled(status) : status)),
    main: wasInitialized(spec, { init, main }) ? main.map(settled) : main,
  };
}

function settled(status: ContainerStatus): ContainerStatus {
  return status.state?.terminated === undefined ? { ...status, state: { terminated: LOST } } : status;
}

/** `hasPodInitialized`. */
function wasInitialized({ initContainers = [] }: PodSpec, { init, main }: Statuses): boolean {
  if (initContainers.length === 0) return true;
  if (
    main.some(({ state, lastState }) => lastState?.terminated !== undefined || state?.waiting === undefined)
  )
    return true;
  const last = initContainers.at(-1);
  const status = init.find(({ name }) => name === last?.name);
  if (last === undefined || status === undefined) return false;
  if (isSidecar(last)) return status.state?.running !== undefined && status.started === true;
  return [status.state, status.lastState].some((state) => state?.terminated?.exitCode === 0);
}
