/** The pods that a Job makes, with everything by which they and others know their place. */
import type { Container, EnvVar } from "../../../../generated/kubernetes.ts";
import { matchFailurePolicy } from "./job-failure-policy.ts";
import {
  FAILURE_COUNT,
  failureCount,
  IGNORED_FAILURE_COUNT,
  ignoredFailureCount,
  INDEX_KEY,
  type JobPod,
  type StoredJob,
  TRACKING_FINALIZER,
} from "./job-pod.ts";
import { podFromTemplate } from "./pod-from-template.ts";

const INDEX_VARIABLE = "JOB_COMPLETION_INDEX";
/** What the API server adds to `generateName` takes five, and names are at most 63 long. */
const LONGEST_PREFIX = 58;

/** `replaced` is the failed pod whose count of failures the new one carries on (only with `backoffLimitPerIndex`). */
export function newJobPod(job: StoredJob, index: number | undefined, replaced: JobPod | undefined): JobPod {
  const pod = podFromTemplate(job, job.spec.template);
  const { finalizers = [] } = pod.metadata;
  const tracked = finalizers.includes(TRACKING_FINALIZER) ? finalizers : [...finalizers, TRACKING_FINALIZER];
  const metadata = { ...pod.metadata, finalizers: tracked };
  if (index === undefined) return { ...pod, metadata };
  const name = job.metadata.name ?? "";
  const suffix = `-${index}-`;
  const { initContainers, containers, ...spec } = pod.spec ?? { containers: [] };
  return {
    ...pod,
    metadata: {
      ...metadata,
      generateName: `${name.slice(0, LONGEST_PREFIX - suffix.length)}${suffix}`,
      labels: { ...metadata.labels, [INDEX_KEY]: String(index) },
      annotations: {
        ...metadata.annotations,
        [INDEX_KEY]: String(index),
        ...failureCounts(job, replaced),
      },
    },
    spec: {
      ...spec,
      hostname: `${name}-${index}`,
      ...(initContainers === undefined ? {} : { initContainers: initContainers.map(withIndexVariable) }),
      containers: containers.map(withIndexVariable),
    },
  };
}

/** `getNewIndexFailureCountValue`. */
function failureCounts({ spec }: StoredJob, replaced: JobPod | undefined): Record<string, string> {
  if (spec.backoffLimitPerIndex === undefined) return {};
  if (replaced === undefined) return { [FAILURE_COUNT]: "0" };
  const { counts } = matchFailurePolicy(spec, replaced);
  const ignored = ignoredFailureCount(replaced) + (counts ? 0 : 1);
  return {
    [FAILURE_COUNT]: String(failureCount(replaced) + (counts ? 1 : 0)),
    ...(ignored === 0 ? {} : { [IGNORED_FAILURE_COUNT]: String(ignored) }),
  };
}

/** A variable of that name in the template stays as it is. */
function withIndexVariable(container: Container): Container {
  const { env = [] } = container;
  if (env.some(({ name }) => name === INDEX_VARIABLE)) return container;
  const fieldPath = `metadata.labels['${INDEX_KEY}']`;
  const added: EnvVar = { name: INDEX_VARIABLE, valueFrom: { fieldRef: { fieldPath } } };
  return { ...container, env: [...env, added] };
}
