/** Gives a pod its sandbox, its volumes and its files, in the kubelet's order: volumes are checked first. */
import { podQosClass } from "../../k8s/qos.ts";
import { normalizeSysctl } from "../../k8s/sysctls.ts";
import { messageOf } from "../../kernel/problem.ts";
import type { PodSandbox } from "../sandbox/sandbox.ts";
import { podFolder, type KubeletContext } from "./kubelet-context.ts";
import { podEvent } from "./pod-events.ts";
import { hostnameOf, writePodFiles } from "./pod-files.ts";
import { hostPortPlan, publishHostPorts } from "./host-ports.ts";
import type { PodState } from "./pod-state.ts";
import { podResourceLimits } from "./resource-limits.ts";
import { referencedObjects } from "./referenced-objects.ts";
import { abandonHooks } from "./stop-container.ts";
import type { Pass } from "./sync-pod.ts";
import { checkVolumes, mountVolumes, type FailedVolume, type VolumeFacts } from "./volumes/pod-volumes.ts";

/** First delay and longest of failed mounts (operationexecutor) and failed sandboxes, doubling. */
const RETRY_MS = 500;
const MAX_RETRY_MS = 122_000;

/** Milliseconds after which to try again, or `undefined` when the pod can start its containers. */
export async function prepareSandbox(pass: Pass, isNew: boolean): Promise<number | undefined> {
  const { context, state } = pass;
  const waitMs = state.setupRetryAt - context.clock.monotonic();
  if (waitMs > 0 && !pass.retriesNow) return waitMs;
  const failed = checkVolumes(volumeFacts(context, state));
  if (failed.length > 0) return reportVolumes(context, state, failed);
  if (isNew) {
    await discardSandbox(context, state);
    const retryInMs = await createSandbox(pass);
    if (retryInMs !== undefined) return retryInMs;
  }
  return mount(pass);
}

export function volumeFacts(context: KubeletContext, state: PodState): VolumeFacts {
  const { pod, sandbox } = state;
  return {
    pod,
    addresses: {
      hostIPs: [context.sandbox.nodeIP],
      podIPs: sandbox === undefined ? [] : [sandbox.ip],
    },
    objects: referencedObjects(context.store, pod.metadata.namespace, (key) => state.references.add(key)),
    allocatable: context.node.allocatable,
    podFolder: podFolder(context.folders, pod.metadata.uid),
    node: context.node,
    now: context.clock.now(),
    canChown: context.sandbox.tier.otherUsers,
    memory: state.memoryFolders,
    token: (wish) => {
      const { namespace, name, uid } = pod.metadata;
      const { serviceAccountName: serviceAccount = "default" } = pod.spec;
      const { issueToken } = context;
      return state.tokens.get(
        wish,
        { issueToken, namespace, serviceAccount, pod: { name, uid } },
        context.clock.now(),
      );
    },
  };
}

/** Nobody reaches the pod through this machine's ports any more. */
export function closeHostPorts(state: PodState): void {
  state.hostPorts?.close();
  state.hostPorts = undefined;
}

/** Ends what is left of a sandbox that died, so that nobody runs without it. */
async function discardSandbox({ recorder }: KubeletContext, state: PodState): Promise<void> {
  if (state.sandboxAttempts > 0) {
    const message = "Pod sandbox changed, it will be killed and re-created.";
    podEvent(recorder, state.pod, { type: "Normal", reason: "SandboxChanged", message });
  }
  abandonHooks(state);
  const left = [...state.containers.values()].flatMap(({ running }) => running?.exited ?? []);
  closeHostPorts(state);
  await state.sandbox?.destroy();
  await Promise.all(left);
  state.sandbox = undefined;
  state.volumes = undefined;
  state.memoryFolders.clear();
  state.forgetInitContainers();
}

async function createSandbox({ context, state, wake }: Pass): Promise<number | undefined> {
  const { metadata, spec } = state.pod;
  try {
    const names = hostnameOf(state.pod, context.dns.clusterDomain);
    const sandbox = await context.sandbox.createPod({
      uid: metadata.uid,
      namespace: metadata.namespace,
      name: metadata.name,
      hostname: names.kernelHostname,
      hostNetwork: spec.hostNetwork === true,
      sharesProcesses: spec.shareProcessNamespace === true,
      sysctls: (spec.securityContext?.sysctls ?? []).map(({ name, value }) => ({
        name: normalizeSysctl(name),
        value,
      })),
      qosClass: podQosClass(spec),
      resources: podResourceLimits(spec),
    });
    state.adoptSandbox(sandbox);
    state.hostname = names.kernelHostname;
    void noticeDeath(sandbox, state, wake);
    return undefined;
  } catch (error) {
    return reportSandbox(context, state, messageOf(error));
  }
}

function reportSandbox(context: KubeletContext, state: PodState, why: string): number {
  const message = `Failed to create pod sandbox: ${why}`;
  podEvent(context.recorder, state.pod, { type: "Warning", reason: "FailedCreatePodSandBox", message });
  return retryLater(context, state);
}

/** Why the pod's host ports cannot be had now; `undefined` when they are open. */
async function publishPorts(
  { recorder, sandbox: node }: KubeletContext,
  state: PodState,
  { ip }: PodSandbox,
): Promise<string | undefined> {
  if (state.hostPorts !== undefined) return undefined;
  const plan = hostPortPlan(state.pod.spec);
  try {
    state.hostPorts = await publishHostPorts(plan, node, ip);
  } catch (error) {
    return messageOf(error);
  }
  for (const message of plan.warnings)
    podEvent(recorder, state.pod, { type: "Warning", reason: "HostPortIgnored", message });
  return undefined;
}

/** Tells the state when the sandbox's own process has ended. */
export async function noticeDeath(sandbox: PodSandbox, state: PodState, wake: () => void): Promise<void> {
  await sandbox.exited;
  if (state.sandbox !== sandbox) return;
  state.isSandboxDead = true;
  wake();
}

async function mount({ context, state, signal }: Pass): Promise<number | undefined> {
  const { sandbox } = state;
  if (sandbox === undefined) return RETRY_MS;
  const refusal = await publishPorts(context, state, sandbox);
  if (refusal !== undefined) return reportSandbox(context, state, refusal);
  const facts = volumeFacts(context, state);
  const { mounted, failed, warnings } = await mountVolumes(facts, sandbox);
  signal.throwIfAborted();
  if (failed.length > 0) return reportVolumes(context, state, failed);
  for (const message of warnings)
    podEvent(context.recorder, facts.pod, { type: "Warning", reason: "VolumeOwnership", message });
  state.volumes = mounted;
  state.setupFailures = 0;
  state.setupRetryAt = 0;
  const names = hostnameOf(state.pod, context.dns.clusterDomain);
  const { podFolder: folder, pod } = facts;
  const written = writePodFiles({ pod, podFolder: folder, podIPs: [sandbox.ip], names, dns: context.dns });
  state.podFiles = written.files;
  for (const warning of written.warnings) {
    // A cluster without DNS of its own is no mistake of the pod's: its pods resolve as this machine does.
    if (warning.reason === "MissingClusterDNS") continue;
    podEvent(context.recorder, pod, { type: "Warning", ...warning });
  }
  return undefined;
}

function reportVolumes(context: KubeletContext, state: PodState, failed: readonly FailedVolume[]): number {
  for (const { volume, message } of failed) {
    podEvent(context.recorder, state.pod, {
      type: "Warning",
      reason: "FailedMount",
      message: `MountVolume.SetUp failed for volume "${volume}" : ${message}`,
    });
  }
  return retryLater(context, state);
}

function retryLater({ clock }: KubeletContext, state: PodState): number {
  const delayMs = Math.min(RETRY_MS * 2 ** state.setupFailures++, MAX_RETRY_MS);
  state.setupRetryAt = clock.monotonic() + delayMs;
  return delayMs;
}
