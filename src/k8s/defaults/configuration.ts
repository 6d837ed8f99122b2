/** Defaults of Secrets, Namespaces, Nodes and limits (core `v1/defaults.go` and conversions). */
import type { Namespace, Node, Secret } from "../../../generated/kubernetes.ts";

/** `stringData` is for writing only: it goes into `data` and is never seen again. */
function defaultSecret(secret: Secret): void {
  const { stringData } = secret;
  delete secret.stringData;
  const encoded = Object.entries(stringData ?? {}).map(([key, text]) => [
    key,
    Buffer.from(text, "utf8").toString("base64"),
  ]);
  if (encoded.length > 0)
    secret.data = { ...secret.data, ...(Object.fromEntries(encoded) as Record<string, string>) };
  secret.type ??= "Opaque";
}

function defaultNamespace(namespace: Namespace): void {
  (namespace.status ??= {}).phase ??= "Active";
  const { metadata } = namespace;
  if (metadata?.name !== undefined)
    metadata.labels = { ...metadata.labels, "kubernetes.io/metadata.name": metadata.name };
}

function defaultNode({ status }: Node): void {
  if (status?.capacity !== undefined) status.allocatable ??= { ...status.capacity };
}

type Amounts = Record<string, string>;

interface LimitRange {
  spec?: {
    limits?: { type: string; max?: Amounts; min?: Amounts; default?: Amounts; defaultRequest?: Amounts }[];
  };
}

function defaultLimitRange({ spec }: LimitRange): void {
  for (const limit of spec?.limits ?? []) {
    if (limit.type !== "Container") continue;
    const fallback = (limit.default ??= {});
    for (const [name, max] of Object.entries(limit.max ?? {})) fallback[name] ??= max;
    const request = (limit.defaultRequest ??= {});
    for (const [name, amount] of Object.entries(fallback)) request[name] ??= amount;
    for (const [name, min] of Object.entries(limit.min ?? {})) request[name] ??= min;
    if (Object.keys(fallback).length === 0) delete limit.default;
    if (Object.keys(request).length === 0) delete limit.defaultRequest;
  }
}

/** By `apiVersion kind`. */
export const defaultConfiguration: Readonly<Record<string, (draft: Record<string, unknown>) => void>> = {
  "v1 Secret": defaultSecret,
  "v1 Namespace": defaultNamespace,
  "v1 Node": defaultNode,
  "v1 LimitRange": defaultLimitRange,
};
