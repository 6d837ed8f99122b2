/** Requests and limits of pods and containers as the kernel takes them (kubelet: calculateLinuxResources, ResourceConfigForPod). */
import type { Container, PodSpec } from "../../../generated/kubernetes.ts";
import { allHaveLimit, podLevel, podLimits, podRequests } from "../../k8s/pod-resources.ts";
import { podQosClass } from "../../k8s/qos.ts";
import { milliValue, type Quantity, quantityOf, wholeValue } from "../../k8s/quantity.ts";
import type { ResourceLimits } from "../sandbox/sandbox.ts";

const MIN_SHARES = 2;
const MAX_SHARES = 262_144;
const SHARES_PER_CPU = 1024;
/** Microseconds: the period, and the least that makes sense of it. */
const PERIOD_US = 100_000;
const MIN_QUOTA_US = 1000;

/** `MilliCPUToShares`. */
export function cpuShares(millis: number): number {
  return Math.min(MAX_SHARES, Math.max(MIN_SHARES, Math.floor((millis * SHARES_PER_CPU) / 1000)));
}

/** `MilliCPUToQuota`: microseconds in each 100 ms; `undefined` for no limit. */
export function cpuQuota(millis: number): number | undefined {
  return millis === 0 ? undefined : Math.max(MIN_QUOTA_US, Math.floor((millis * PERIOD_US) / 1000));
}

/** Of one container. A limit that only the pod has is the container's too: it can have no more. */
export function containerLimits(spec: PodSpec, { resources = {} }: Container): ResourceLimits {
  const ofPod = podLevel(spec, "limits");
  const limit = (name: string) => given(resources.limits?.[name]) ?? ofPod.get(name);
  const cpuLimit = limit("cpu");
  const request = resources.requests?.["cpu"];
  const cpuRequest = request === undefined ? cpuLimit : quantityOf(request);
  return asLimits({ shares: cpuRequest, cpu: cpuLimit, memory: limit("memory") });
}

/** Of the pod as a whole; a limit counts only when every container has it, or the pod itself. */
export function podResourceLimits(spec: PodSpec): ResourceLimits {
  const qosClass = podQosClass(spec);
  if (qosClass === "BestEffort") return { cpuShares: MIN_SHARES };
  const [requests, limits, ofPod] = [podRequests(spec), podLimits(spec), podLevel(spec, "limits")];
  const limit = (name: "cpu" | "memory") =>
    allHaveLimit(spec, name) || ofPod.has(name) ? limits.get(name) : undefined;
  return asLimits({ shares: requests.get("cpu"), cpu: limit("cpu"), memory: limit("memory") });
}

interface Amounts {
  readonly shares: Quantity | undefined;
  readonly cpu: Quantity | undefined;
  readonly memory: Quantity | undefined;
}

function asLimits({ shares, cpu, memory }: Amounts): ResourceLimits {
  const quota = cpu === undefined ? undefined : cpuQuota(milliValue(cpu));
  const bytes = memory === undefined ? 0 : wholeValue(memory);
  return {
    cpuShares: cpuShares(shares === undefined ? 0 : milliValue(shares)),
    ...(quota === undefined ? {} : { cpuQuota: quota }),
    ...(bytes === 0 ? {} : { memory: bytes }),
  };
}

/** Zero is no limit. */
function given(text: string | undefined): Quantity | undefined {
  if (text === undefined) return undefined;
  const quantity = quantityOf(text);
  return quantity.nanos === 0n ? undefined : quantity;
}
