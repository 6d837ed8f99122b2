/**
 * A candidate for the leadership that a Lease stands for: client-go's algorithm with the API of an unmodified
 * @kubernetes/client-node, which brings none of its own. Prints a line when it leads, loses or is told of a conflict.
 * Arguments: kubeconfig, namespace, Lease, identity, seconds that the Lease holds. Started by client-node.test.ts.
 */
import { CoordinationV1Api, KubeConfig, V1MicroTime } from "@kubernetes/client-node";

const [kubeconfig, namespace, name, identity, seconds] = process.argv.slice(2);
const leaseDurationSeconds = Number(seconds);
const RETRY_MS = 100;

const config = new KubeConfig();
config.loadFromFile(kubeconfig);
const api = config.makeApiClient(CoordinationV1Api);
let isLeading = false;
/** The Lease as it was when it last changed, and when that was seen: clocks of others count for nothing. */
let observed = { version: "", at: 0 };

const codeOf = ({ code }) => code;

/** Whether the Lease is ours now. */
async function tryOnce() {
  const now = new V1MicroTime();
  const spec = { holderIdentity: identity, leaseDurationSeconds, acquireTime: now, renewTime: now };
  let lease;
  try {
    lease = await api.readNamespacedLease({ namespace, name });
  } catch (error) {
    if (codeOf(error) !== 404) throw error;
    await api.createNamespacedLease({
      namespace,
      body: { metadata: { name }, spec: { ...spec, leaseTransitions: 0 } },
    });
    return true;
  }
  const { holderIdentity = "", acquireTime, leaseTransitions = 0 } = lease.spec;
  const version = lease.metadata.resourceVersion;
  if (version !== observed.version) observed = { version, at: performance.now() };
  const isOurs = holderIdentity === identity;
  const isHeld = holderIdentity !== "" && performance.now() - observed.at < leaseDurationSeconds * 1000;
  if (!isOurs && isHeld) return false;
  const kept = isOurs ? { acquireTime, leaseTransitions } : { leaseTransitions: leaseTransitions + 1 };
  // With the version that was read: who was faster wins.
  const body = { metadata: lease.metadata, spec: { ...spec, ...kept } };
  const renewed = await api.replaceNamespacedLease({ namespace, name, body });
  observed = { version: renewed.metadata.resourceVersion, at: performance.now() };
  return true;
}

for (;;) {
  const wins = await tryOnce().catch((error) => {
    if (codeOf(error) !== 409) throw error;
    console.log("conflict");
    return false;
  });
  if (wins !== isLeading) console.log(wins ? "leading" : "lost");
  isLeading = wins;
  await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
}
