/** `metrics.k8s.io/v1beta1`, as metrics-server serves it to `kubectl top`. */
import type { KubeObject } from "../../../k8s/object.ts";
import { formatTimestamp } from "../../../k8s/timestamp.ts";
import { notFound } from "../../store/api-errors.ts";
import type { ResourceRequest } from "../api-context.ts";
import { type Answer, objectAnswer } from "../exchange.ts";
import { presenterOf, selectionOf } from "../read-verbs.ts";
import { listOptions } from "../request-options.ts";
import type { Measured, Rate } from "./usage-sampler.ts";

export const METRICS_GROUP = "metrics.k8s.io";
const API_VERSION = "metrics.k8s.io/v1beta1";

/** One object or a list. `NotFound` for what does not run, or not for long enough to have been measured. */
export async function metricsAnswer(resource: ResourceRequest): Promise<Answer> {
  const { context, request, target } = resource;
  const selection = selectionOf(resource, listOptions(request.query));
  const measured = await context.measure();
  const all =
    target.info.plural === "nodes" ? nodeMetrics(resource, measured) : podMetrics(resource, measured);
  const presenter = presenterOf(resource);
  if (target.name !== undefined) {
    const wanted = target.name;
    const found = all.find(({ metadata }) => {
      return metadata.name === wanted && (metadata.namespace ?? "") === target.namespace;
    });
    if (found === undefined) throw notFound(target.info.groupResource, wanted);
    return objectAnswer(presenter.object(found));
  }
  const items = all.filter((object) => {
    const isThere = target.namespace === "" || object.metadata.namespace === target.namespace;
    return isThere && (selection.matches?.(object) ?? true);
  });
  return objectAnswer(presenter.list({ items, resourceVersion: "" }));
}

function nodeMetrics({ context: { store, nodeName } }: ResourceRequest, measured: Measured): KubeObject[] {
  const node = store.get("nodes", { namespace: "", name: nodeName });
  if (node === undefined) return [];
  return [{ ...head("NodeMetrics", node, measured), usage: usageOf(measured.node) }];
}

function podMetrics({ context: { store } }: ResourceRequest, measured: Measured): KubeObject[] {
  return measured.pods.flatMap(({ namespace, name, containers }) => {
    const pod = store.get("pods", { namespace, name });
    if (pod === undefined) return [];
    const usages = containers.map((one) => ({ name: one.name, usage: usageOf(one) }));
    return [{ ...head("PodMetrics", pod, measured), containers: usages }];
  });
}

function head(kind: string, { metadata }: KubeObject, { at, window }: Measured): KubeObject {
  const { name, namespace, labels } = metadata;
  return {
    kind,
    apiVersion: API_VERSION,
    metadata: {
      ...(name === undefined ? {} : { name }),
      ...(namespace === undefined ? {} : { namespace }),
      ...(labels === undefined ? {} : { labels }),
      creationTimestamp: formatTimestamp(at),
    },
    timestamp: formatTimestamp(at),
    window: `${window / 1000}s`,
  };
}

function usageOf({ cpuNanocores, memoryBytes }: Rate): object {
  return { cpu: `${cpuNanocores}n`, memory: `${Math.ceil(memoryBytes / 1024)}Ki` };
}
