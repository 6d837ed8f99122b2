/** What a Job's podFailurePolicy makes of a failed pod (`pkg/controller/job/pod_failure_policy.go`). */
import type {
  ContainerStatus,
  JobSpec,
  Pod,
  PodCondition,
  PodFailurePolicyOnExitCodesRequirement,
  PodFailurePolicyRule,
} from "../../../../generated/kubernetes.ts";

export interface PolicyMatch {
  /** Absent when no rule matches: then the failure counts. */
  readonly action?: string;
  /** Whether it counts towards the back-off limits. */
  readonly counts: boolean;
  /** Why the Job fails; only with `FailJob`. */
  readonly message?: string;
}

/** The first rule that matches decides. */
export function matchFailurePolicy({ podFailurePolicy }: JobSpec, pod: Pod): PolicyMatch {
  for (const [index, rule] of (podFailurePolicy?.rules ?? []).entries()) {
    const what = describeMatch(rule, pod);
    if (what === undefined) continue;
    const { action } = rule;
    if (action === "Ignore") return { action, counts: false };
    if (action !== "FailJob") return { action, counts: true };
    return { action, counts: true, message: `${what} matching ${action} rule at index ${index}` };
  }
  return { counts: true };
}

function describeMatch({ onExitCodes, onPodConditions = [] }: PodFailurePolicyRule, pod: Pod) {
  const name = `${pod.metadata?.namespace ?? ""}/${pod.metadata?.name ?? ""}`;
  if (onExitCodes !== undefined) {
    const container = matchingContainer(pod, onExitCodes);
    if (container === undefined) return undefined;
    const code = container.state?.terminated?.exitCode ?? 0;
    return `Container ${container.name} for pod ${name} failed with exit code ${code}`;
  }
  const condition = (pod.status?.conditions ?? []).find((one) =>
    onPodConditions.some(({ type, status = "True" }) => isSame(one, { type, status })),
  );
  return condition === undefined ? undefined : `Pod ${name} has condition ${condition.type}`;
}

function isSame(one: PodCondition, { type, status }: { readonly type: string; readonly status: string }) {
  return one.type === type && one.status === status;
}

/** Main containers first. Exit code 0 is never a failure. */
function matchingContainer(
  { status }: Pod,
  { containerName, operator, values }: PodFailurePolicyOnExitCodesRequirement,
): ContainerStatus | undefined {
  const all = [...(status?.containerStatuses ?? []), ...(status?.initContainerStatuses ?? [])];
  return all.find(({ name, state }) => {
    const code = state?.terminated?.exitCode ?? 0;
    if (code === 0 || (containerName !== undefined && containerName !== name)) return false;
    return values.includes(code) === (operator === "In");
  });
}
