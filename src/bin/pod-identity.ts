/** Who we are in Kubernetes: from variables that a manifest fills by the downward API, and from its volume of labels. */
import { readFileSync } from "node:fs";
import type { PodIdentity } from "../kernel/host.ts";

const LABELS = "/etc/podinfo/labels";

/**
 * Reads `POD_NAME` (else the host name, which is the pod's), `POD_NAMESPACE`, `POD_UID`, `NODE_NAME`, `POD_IP`, and the file
 * of labels where it is mounted. Nothing is asked of the API: a sidecar needs no token.
 */
export function podIdentity(
  env: Readonly<Record<string, string | undefined>>,
  labelsFile = LABELS,
): PodIdentity {
  const value = (name: string) => env[name] || undefined;
  // A pod has its variables; on other machines HOSTNAME is no pod's name.
  const isPod = value("POD_NAME") !== undefined || value("KUBERNETES_SERVICE_HOST") !== undefined;
  return {
    name: value("POD_NAME") ?? (isPod ? value("HOSTNAME") : undefined),
    namespace: value("POD_NAMESPACE"),
    uid: value("POD_UID"),
    node: value("NODE_NAME"),
    ip: value("POD_IP"),
    labels: parseLabels(readIfThere(labelsFile)),
  };
}

/** Lines of `key="value"`, the value quoted as Go quotes strings (`fmt` verb `%q`, kubelet's `fieldpath.FormatMap`). */
export function parseLabels(text: string): Readonly<Record<string, string>> {
  return Object.fromEntries(
    text.split("\n").flatMap((line) => {
      const at = line.indexOf("=");
      if (at < 1) return [];
      return [[line.slice(0, at), unquoted(line.slice(at + 1))]];
    }),
  );
}

/** Values of labels have letters, digits, dashes, underscores and dots only: nothing in them is ever escaped. */
function unquoted(text: string): string {
  return text.startsWith('"') && text.endsWith('"') && text.length > 1 ? text.slice(1, -1) : text;
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return ""; // Not mounted, or not for us: the labels are not known then.
  }
}
