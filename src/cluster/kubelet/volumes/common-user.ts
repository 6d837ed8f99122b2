/** The user that all containers of a pod run as, when the pod says so: tokens are that user's (`FsUserFrom`). */
import type { PodSpec } from "../../../../generated/kubernetes.ts";

export function commonUser(spec: PodSpec): number | undefined {
  const containers = [
    ...(spec.initContainers ?? []),
    ...spec.containers,
    ...(spec.ephemeralContainers ?? []),
  ];
  const users = new Set(
    containers.map(({ securityContext }) => securityContext?.runAsUser ?? spec.securityContext?.runAsUser),
  );
  const [user] = users;
  return users.size === 1 ? user : undefined;
}
