/** Which subresources are streams. */
import type { ResourceTarget } from "../resource-path.ts";
import { attachPlan, execPlan } from "./command-plan.ts";
import { portForwardPlan } from "./port-forward-plan.ts";
import type { StreamContext, StreamPlan } from "./stream-context.ts";

type MakePlan = (context: StreamContext) => StreamPlan;

const PLANS: Readonly<Record<string, MakePlan>> = {
  exec: execPlan,
  attach: attachPlan,
  portforward: portForwardPlan,
};

/** What serves the subresource; undefined for those that are no streams. */
export function streamPlanOf({
  info,
  subresource,
}: Pick<ResourceTarget, "info" | "subresource">): MakePlan | undefined {
  return info.groupResource === "pods" ? PLANS[subresource?.name ?? ""] : undefined;
}
