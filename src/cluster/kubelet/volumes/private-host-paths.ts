/** Says which `hostPath` volumes of a pod are not this machine's folders, so that nobody wonders why they are empty. */
import type { StoredPod } from "../../../k8s/pod.ts";
import { type NodeFolders, sharedFolderOf } from "./host-path.ts";

/** One sentence for each. */
export function privateHostPaths({ spec }: StoredPod, { shared }: Pick<NodeFolders, "shared">): string[] {
  return (spec.volumes ?? []).flatMap(({ name, hostPath }) => {
    if (hostPath === undefined || sharedFolderOf(hostPath.path, shared) !== undefined) return [];
    const path = JSON.stringify(hostPath.path);
    return [
      `hostPath ${path} of volume "${name}" is on the cluster's own node, not on this machine; ` +
        `start the cluster with \`--host-path ${hostPath.path}\` to use this machine's`,
    ];
  });
}
