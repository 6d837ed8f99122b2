/** The events with which the scheduler says where a Pod goes or why it waits; here the API says it, since there is one node. */
import type { Pod } from "../../../generated/kubernetes.ts";
import type { KubeObject } from "../../k8s/object.ts";
import { newEvent, referenceTo } from "../store/event-recorder.ts";

const SCHEDULER = { component: "default-scheduler", host: "" };

/** `now` in milliseconds since the epoch. */
export interface EventMoment {
  readonly now: number;
}

export function scheduledEvent(pod: KubeObject, { now }: EventMoment): KubeObject {
  const { name = "", namespace = "" } = pod.metadata;
  const message = `Successfully assigned ${namespace}/${name} to ${(pod as Pod).spec?.nodeName ?? ""}`;
  return newEvent({ about: referenceTo(pod), type: "Normal", reason: "Scheduled", message }, SCHEDULER, now);
}

export function failedSchedulingEvent(
  pod: KubeObject,
  { message, now }: EventMoment & { readonly message: string },
): KubeObject {
  const facts = { about: referenceTo(pod), type: "Warning", reason: "FailedScheduling", message } as const;
  return newEvent(facts, SCHEDULER, now);
}
