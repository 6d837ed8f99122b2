/** Whether a container that ended starts again: pod policy, container policy and rules (KEP-5307). */
import type { Container, PodSpec } from "../../generated/kubernetes.ts";

/** `ContainerShouldRestart`: the first matching rule, else the container's policy, else the pod's. */
export function restartsAfterExit(spec: PodSpec, container: Container, exitCode: number): boolean {
  if (container.restartPolicy === undefined) return restartsByPolicy(spec.restartPolicy, exitCode);
  return matchesRule(container, exitCode) || restartsByPolicy(container.restartPolicy, exitCode);
}

/** Whether a kill by the node itself (probe, lost container) is followed by a start: every policy but `Never`. */
export function restartsAfterKill(spec: PodSpec, container?: Container): boolean {
  return (container?.restartPolicy ?? spec.restartPolicy ?? "Always") !== "Never";
}

function restartsByPolicy(policy: string | undefined, exitCode: number): boolean {
  if (policy === "Never") return false;
  return policy === "OnFailure" ? exitCode !== 0 : true;
}

function matchesRule({ restartPolicyRules = [] }: Container, exitCode: number): boolean {
  return restartPolicyRules.some(({ exitCodes }) => {
    if (exitCodes === undefined) return false;
    const isListed = exitCodes.values?.includes(exitCode) ?? false;
    return exitCodes.operator === "NotIn" ? !isListed : exitCodes.operator === "In" && isListed;
  });
}
