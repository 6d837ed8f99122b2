/** Which container of a Pod a subresource means. */
import type { Container, Pod } from "../../../generated/kubernetes.ts";
import { StatusError } from "../../k8s/status-error.ts";

/** registry/core/pod `LogLocation` and `streamLocation`. `wanted` may be empty where there is only one. Throws `BadRequest`. */
export function chooseContainer(pod: Pod, wanted: string): string {
  const podName = pod.metadata?.name ?? "";
  const { containers = [], initContainers = [], ephemeralContainers = [] } = pod.spec ?? {};
  const [only, ...others] = containers;
  if (wanted === "" && only !== undefined && others.length === 0) return only.name;
  if (wanted !== "") {
    const all = [...containers, ...initContainers, ...ephemeralContainers];
    if (all.some(({ name }) => name === wanted)) return wanted;
    throw new StatusError("BadRequest", `container ${wanted} is not valid for pod ${podName}`);
  }
  const groups: readonly [string, readonly Pick<Container, "name">[]][] = [
    [", choose one of: ", containers],
    [" or one of the init containers: ", initContainers],
    [" or one of the ephemeral containers: ", ephemeralContainers],
  ];
  const choices = groups
    .filter(([, list]) => list.length > 0)
    .map(([words, list]) => `${words}[${list.map(({ name }) => name).join(" ")}]`);
  throw new StatusError(
    "BadRequest",
    `a container name must be specified for pod ${podName}${choices.join("")}`,
  );
}
