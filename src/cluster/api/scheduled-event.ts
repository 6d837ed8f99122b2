/** The event with which the scheduler says where a Pod goes; here the API says it, since there is one node. */
import type { Pod } from "../../../generated/kubernetes.ts";
import type { KubeObject } from "../../k8s/object.ts";
import { formatTimestamp } from "../../k8s/timestamp.ts";

/** `now` in milliseconds since the epoch; `sequence` tells events of the same moment apart. */
export function scheduledEvent(
  pod: Pod,
  { now, sequence }: { readonly now: number; readonly sequence: number },
): KubeObject {
  const { name = "", namespace = "", uid = "", resourceVersion = "" } = pod.metadata ?? {};
  const nodeName = pod.spec?.nodeName ?? "";
  const timestamp = formatTimestamp(now);
  // The name's suffix is the time in nanoseconds, as client-go's recorder writes it.
  const suffix = (BigInt(now) * 1_000_000n + BigInt(sequence % 1_000_000)).toString(16);
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
