/** Whose uid is known before the object is stored: a Job's labels and selector tell it, so that who prepares the Job chooses it. */
import { randomUUID } from "node:crypto";
import type { GroupResource, KubeObject } from "../../k8s/object.ts";

export const JOBS: GroupResource = "jobs.batch";

/** A uid of its own for everything else, whatever the object says. */
export function uidFor(resource: GroupResource, { metadata: { uid = "" } }: KubeObject): string {
  return resource === JOBS && uid !== "" ? uid : randomUUID();
}
