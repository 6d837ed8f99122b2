/** Finds out which pod this process runs in, from what the downward API put into the environment and into files. */
import { readFileSync } from "node:fs";
import type { PodIdentity } from "../kernel/host.ts";

/** Every pod with a service account has it. */
const NAMESPACE_FILE = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";
const LABELS_FILE = "/etc/podinfo/labels";
const LABEL_LINE = /^([^=]+)=(".*")$/;

type Env = Readonly<Record<string, string | undefined>>;

/** Reads `POD_NAME`, `POD_NAMESPACE`, `POD_UID`, `POD_IP`, `NODE_NAME`, and labels from `PILLION_POD_LABELS` (a downward API file). */
export function podIdentity(env: Env): PodIdentity {
  const isInPod = given(env, "KUBERNETES_SERVICE_HOST") !== undefined;
  return {
    // The host name of a pod is its name, unless it uses the node's network or sets `hostname`.
    name: given(env, "POD_NAME") ?? (isInPod ? given(env, "HOSTNAME") : undefined),
    namespace: given(env, "POD_NAMESPACE") ?? readIfThere(NAMESPACE_FILE)?.trim(),
    uid: given(env, "POD_UID"),
    node: given(env, "NODE_NAME"),
    ip: given(env, "POD_IP"),
    labels: parseLabels(readIfThere(given(env, "PILLION_POD_LABELS") ?? LABELS_FILE) ?? ""),
  };
}

/** Lines like `app="web"`, the value quoted as Go does it. Source: Kubernetes, "Downward API". */
export function parseLabels(text: string): Readonly<Record<string, string>> {
  const labels: Record<string, string> = {};
  for (const line of text.split("\n")) {
    const [, key = "", quoted = ""] = LABEL_LINE.exec(line) ?? [];
    if (key !== "") labels[key] = unquote(quoted);
  }
  return labels;
}

/** Values of labels are letters, digits, `-`, `_` and `.`: nothing in them is ever escaped. */
function unquote(quoted: string): string {
  return quoted.slice(1, -1);
}

function given(env: Env, name: string): string | undefined {
  return env[name] === "" ? undefined : env[name];
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined; // Not in a pod, or not one that tells.
  }
}
