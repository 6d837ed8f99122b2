/** Defaults of pods and pod templates (core `v1/defaults.go`; rules O1 to O4). */
import type {
  Container,
  EphemeralContainer,
  HTTPGetAction,
  LifecycleHandler,
  Pod,
  PodSpec,
  PodTemplateSpec,
  Probe,
  ResourceRequirements,
} from "../../../generated/kubernetes.ts";
import { hasLatestTag } from "../image-tag.ts";
import { addQuantities, formatQuantity, isQuantity, quantityOf } from "../quantity.ts";
import { defaultVolume } from "./volumes.ts";

/** A template gets what its pods would get, but for requests, host ports and service links: those only pods get. */
export function defaultPodTemplate(template: PodTemplateSpec | undefined): void {
  if (template?.spec !== undefined) defaultPodSpec(template.spec);
}

export function defaultPod(pod: Pod): void {
  const spec = (pod.spec ??= { containers: [] });
  defaultPodSpec(spec);
  spec.enableServiceLinks ??= true;
  const containers = [...(spec.initContainers ?? []), ...(spec.containers ?? [])];
  for (const container of containers) {
    requestLimits(container.resources);
    for (const port of container.ports ?? [])
      if (spec.hostNetwork === true) port.hostPort ??= port.containerPort;
  }
  if (spec.resources !== undefined) defaultPodRequests(spec, spec.resources);
}

/** What is limited and not requested is requested in full. */
function requestLimits(resources: ResourceRequirements | undefined): void {
  if (resources?.limits === undefined) return;
  const requests = (resources.requests ??= {});
  for (const [name, limit] of Object.entries(resources.limits)) requests[name] ??= limit;
}

/** Requests of the pod as a whole: the sum of its containers', else its limits. */
function defaultPodRequests({ containers }: PodSpec, resources: ResourceRequirements): void {
  const sums: Record<string, string> = {};
  for (const [name, amount] of containers.flatMap((one) => Object.entries(one.resources?.requests ?? {}))) {
    if (!isQuantity(amount) || (name !== "cpu" && name !== "memory" && !name.startsWith("hugepages-")))
      continue;
    const before = sums[name];
    sums[name] =
      before === undefined ? amount : formatQuantity(addQuantities(quantityOf(before), quantityOf(amount)));
  }
  for (const [name, limit] of Object.entries(resources.limits ?? {})) {
    const requests = (resources.requests ??= {});
    requests[name] ??= sums[name] ?? limit;
  }
}

export function defaultPodSpec(spec: PodSpec): void {
  spec.dnsPolicy ??= "ClusterFirst";
  spec.restartPolicy ??= "Always";
  spec.securityContext ??= {};
  spec.terminationGracePeriodSeconds ??= 30;
  spec.schedulerName ??= "default-scheduler";
  const account = spec.serviceAccountName ?? spec.serviceAccount;
  if (account !== undefined) [spec.serviceAccountName, spec.serviceAccount] = [account, account];
  for (const container of [...(spec.initContainers ?? []), ...(spec.containers ?? [])])
    defaultContainer(container);
  for (const container of spec.ephemeralContainers ?? []) defaultContainer(container);
  for (const volume of spec.volumes ?? []) defaultVolume(volume);
}

function defaultContainer(container: Container | EphemeralContainer): void {
  container.imagePullPolicy ??= hasLatestTag(container.image ?? "") ? "Always" : "IfNotPresent";
  container.terminationMessagePath ??= "/dev/termination-log";
  container.terminationMessagePolicy ??= "File";
  for (const port of container.ports ?? []) port.protocol ??= "TCP";
  for (const { valueFrom } of container.env ?? []) {
    if (valueFrom?.fieldRef !== undefined) valueFrom.fieldRef.apiVersion ??= "v1";
    if (valueFrom?.resourceFieldRef !== undefined) valueFrom.resourceFieldRef.divisor ??= "0";
    if (valueFrom?.fileKeyRef !== undefined) valueFrom.fileKeyRef.optional ??= false;
  }
  defaultProbe(container.livenessProbe);
  defaultProbe(container.readinessProbe);
  defaultProbe(container.startupProbe);
  defaultHandler(container.lifecycle?.postStart);
  defaultHandler(container.lifecycle?.preStop);
}

function defaultProbe(probe: Probe | undefined): void {
  if (probe === undefined) return;
  probe.timeoutSeconds ??= 1;
  probe.periodSeconds ??= 10;
  probe.successThreshold ??= 1;
  probe.failureThreshold ??= 3;
  defaultHttpGet(probe.httpGet);
  if (probe.grpc !== undefined) probe.grpc.service ??= "";
}

function defaultHandler(handler: LifecycleHandler | undefined): void {
  defaultHttpGet(handler?.httpGet);
}

function defaultHttpGet(action: HTTPGetAction | undefined): void {
  if (action === undefined) return;
  action.path ??= "/";
  action.scheme ??= "HTTP";
}
