/** The event with which the scheduler says where a Pod goes; here the API says it, since there is one node. */
import type { Pod } from "../../../generated/kubernetes.ts";
import type { KubeObject } from "../../k8s/object.ts";
import { uniqueNanoseconds } from "../../lib/unique-time.ts";
import { formatTimestamp } from "../../k8s/timestamp.ts";

/** `now` in milliseconds since the epoch. */
export function scheduledEvent(pod: Pod, now: number): KubeObject {
  const { name = "", namespace = "", uid = "", resourceVersion = "" } = pod.metadata ?? {};
  const nodeName = pod.spec?.nodeName ?? "";
  const timestamp = formatTimestamp(now);
  // The name's suffix is the time in nanoseconds, as client-go's recorder writes it.
  const suffix = uniqueNanoseconds(now).toString(16);
  return {
    apiVersion: "v1",
    kind: "Event",
    metadata: { name: `${name}.${suffix}`, namespace },
    involvedObject: { kind: "Pod", namespace, name, uid, apiVersion: "v1", resourceVersion },
    reason: "Scheduled",
    message: `Successfully assigned ${namespace}/${name} to ${nodeName}`,
    source: { component: "default-scheduler" },
    firstTimestamp: timestamp,
    lastTimestamp: timestamp,
    count: 1,
    type: "Normal",
    eventTime: null,
    reportingComponent: "default-scheduler",
    reportingInstance: "",
  };
}
