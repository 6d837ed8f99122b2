/** The selector and labels that a new Job gets when it brings no selector of its own (batch `strategy.go` generateSelector). */
import type { Job, ObjectMeta } from "../../generated/kubernetes.ts";
import type { KubeObject } from "./object.ts";

export const CONTROLLER_UID = "batch.kubernetes.io/controller-uid";
export const JOB_NAME = "batch.kubernetes.io/job-name";
export const LEGACY_CONTROLLER_UID = "controller-uid";
export const LEGACY_JOB_NAME = "job-name";

/** Labels that are there already stay, and validation refuses them when they are wrong. The Job has its name and uid. */
export function withGeneratedSelector(object: KubeObject): KubeObject {
  const job: KubeObject & Job = object;
  const { spec, metadata } = job;
  if (spec === undefined || spec.manualSelector === true) return job;
  const { name = "", uid = "" } = metadata;
  const { matchLabels = {}, ...selector } = spec.selector ?? {};
  const own: ObjectMeta = spec.template?.metadata ?? {};
  const labels = {
    [LEGACY_JOB_NAME]: name,
    [JOB_NAME]: name,
    [LEGACY_CONTROLLER_UID]: uid,
    [CONTROLLER_UID]: uid,
    ...own.labels,
  };
  const isBare = Object.keys(metadata.labels ?? {}).length === 0;
  return {
    ...job,
    // What the server's defaults make of a stored Job whose template has labels by now.
    metadata: isBare ? { ...metadata, labels: { ...labels } } : metadata,
    spec: {
      ...spec,
      selector: { ...selector, matchLabels: { [CONTROLLER_UID]: uid, ...matchLabels } },
      template: { ...spec.template, metadata: { ...own, labels } },
    },
  };
}
