/** The events with which the scheduler says where a Pod goes or why it waits; here the API says it, since there is one node. */
import type { Pod } from "../../../generated/kubernetes.ts";
import type { KubeObject } from "../../k8s/object.ts";
import { uniqueNanoseconds } from "../../lib/unique-time.ts";
import { formatTimestamp } from "../../k8s/timestamp.ts";

/** `now` in milliseconds since the epoch. */
export interface EventMoment {
  readonly now: number;
}

export function scheduledEvent(pod: Pod, moment: EventMoment): KubeObject {
  const { name = "", namespace = "" } = pod.metadata ?? {};
  const message = `Successfully assigned ${namespace}/${name} to ${pod.spec?.nodeName ?? ""}`;
  return schedulerEvent(pod, moment, { type: "Normal", reason: "Scheduled", message });
}

export function failedSchedulingEvent(
  pod: Pod,
  { message, ...moment }: EventMoment & { readonly message: string },
): KubeObject {
  return schedulerEvent(pod, moment, { type: "Warning", reason: "FailedScheduling", message });
}

interface Said {
  readonly type: "Normal" | "Warning";
  readonly reason: string;
  readonly message: string;
}

function schedulerEvent(pod: Pod, { now }: EventMoment, said: Said): KubeObject {
  const { name = "", namespace = "", uid = "", resourceVersion = "" } = pod.metadata ?? {};
  const timestamp = formatTimestamp(now);
  // The name's suffix is the time in nanoseconds, as client-go's recorder writes it.
  const suffix = uniqueNanoseconds(now).toString(16);
  return {
    apiVersion: "v1",
    kind: "Event",
    metadata: { name: `${name}.${suffix}`, namespace },
    involvedObject: { kind: "Pod", namespace, name, uid, apiVersion: "v1", resourceVersion },
    ...said,
    source: { component: "default-scheduler" },
    firstTimestamp: timestamp,
    lastTimestamp: timestamp,
    count: 1,
    eventTime: null,
    reportingComponent: "default-scheduler",
    reportingInstance: "",
  };
}
