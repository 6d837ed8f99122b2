import { expect, test } from "bun:test";
import type { Pod, PodCondition } from "../../generated/kubernetes.ts";
import type { KubeObject } from "../k8s/object.ts";
import type { ApiClient } from "./api-client.ts";
import { waitReady } from "./wait-ready.ts";

function pod(phase: string, ready: boolean): KubeObject & Pod {
  const conditions: PodCondition[] = [{ type: "Ready", status: ready ? "True" : "False" }];
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { namespace: "default", name: "a", uid: "a", labels: { app: "a" } },
    status: { phase, conditions },
  };
}

/** An API whose watch hands over everything at once. */
function apiThatTells(...changes: readonly KubeObject[]): ApiClient {
  const api = {
    request: () => Promise.resolve({ items: [pod("Pending", false)], metadata: { resourceVersion: "1" } }),
    async *watch() {
      for (const object of changes) yield await Promise.resolve({ type: "MODIFIED", object });
    },
  };
  return api as unknown as ApiClient;
}

const pods = [
  { singular: "pod", collection: "/api/v1/namespaces/default/pods", namespace: "default", name: "a" },
];

test("waitReady() is content with a pod that was ready, although one of its containers ends right after", async () => {
  const api = apiThatTells(pod("Running", true), pod("Running", false));
  expect(await waitReady(api, pods, new AbortController().signal)).toEqual({ ready: true, problems: [] });
});

test("waitReady() names a pod that is not ready at the end", async () => {
  const api = apiThatTells(pod("Running", false));
  expect(await waitReady(api, pods, new AbortController().signal)).toEqual({
    ready: false,
    problems: ['pod "default/a" is not ready yet'],
  });
});

test("waitReady() waits until a load balancer has its address, and for no other Service", async () => {
  const collection = "/api/v1/namespaces/default/services";
  const service = (spec: object, status: object = {}): KubeObject => {
    const metadata = { namespace: "default", name: "web" };
    return { apiVersion: "v1", kind: "Service", metadata, spec, status };
  };
  const ports = [{ port: 80 }];
  const balanced = { type: "LoadBalancer", selector: { app: "a" }, ports };
  const address = { loadBalancer: { ingress: [{ ip: "127.0.0.1" }] } };
  const unready = ['service "default/web" is not ready yet'];
  const cases = [
    [service({ type: "NodePort", ports }), []],
    [service(balanced), unready],
    [service(balanced, address), []],
    [service({ ...balanced, loadBalancerClass: "a.example/b" }), []],
  ] as const;
  const waited = [{ singular: "service", collection, namespace: "default", name: "web" }];
  for (const [object, problems] of cases) {
    const api = apiThatHolds({ [collection]: object });
    const result = await waitReady(api, waited, new AbortController().signal);
    expect(result.problems).toEqual([...problems]);
  }
});

const deployments = "/apis/apps/v1/namespaces/default/deployments";
const awaited = [{ singular: "deployment", collection: deployments, namespace: "default", name: "web" }];

function deployment(status: object): KubeObject {
  const metadata = { namespace: "default", name: "web", generation: 2 };
  const selector = { matchLabels: { app: "a" } };
  return { apiVersion: "apps/v1", kind: "Deployment", metadata, spec: { replicas: 2, selector }, status };
}

/** An API with one object a collection, and then nothing. */
function apiThatHolds(objects: Readonly<Record<string, KubeObject>>): ApiClient {
  const api = {
    request: (path: string) =>
      Promise.resolve({ items: [objects[path]].filter(Boolean), metadata: { resourceVersion: "1" } }),
    async *watch(_path: string, _version: string, signal: AbortSignal) {
      // As `fetch` does.
      signal.throwIfAborted();
      yield* [];
    },
  };
  return api as unknown as ApiClient;
}

const ALL = { observedGeneration: 2, replicas: 2, updatedReplicas: 2, availableReplicas: 2 };

test.each([
  ["all its pods are available and new", ALL, []],
  ["its controller has not seen the change", { ...ALL, observedGeneration: 1 }, ["is not ready yet"]],
  ["old pods are left", { ...ALL, replicas: 3 }, ["is not ready yet"]],
  [
    "its deadline has passed",
    {
      ...ALL,
      replicas: 3,
      conditions: [{ type: "Progressing", reason: "ProgressDeadlineExceeded", message: "late" }],
    },
    ["cannot start: late"],
  ],
])("waitReady() judges a Deployment: %s", async (_, status, problems) => {
  const api = apiThatHolds({ [deployments]: deployment(status) });
  const result = await waitReady(api, awaited, new AbortController().signal);
  expect(result.problems).toEqual(problems.map((problem) => `deployment "default/web" ${problem}`));
});

test("waitReady() gives a workload up when one of its pods is stuck, and says which", async () => {
  const stuck = pod("Pending", false);
  const waiting = { reason: "ErrImagePull", message: "no such image" };
  const containerStatuses = [{ name: "app", state: { waiting } }];
  const api = apiThatHolds({
    [deployments]: deployment({ observedGeneration: 2 }),
    "/api/v1/namespaces/default/pods": { ...stuck, status: { phase: "Pending", containerStatuses } },
  });
  expect(await waitReady(api, awaited, new AbortController().signal)).toEqual({
    ready: false,
    problems: [
      'deployment "default/web" cannot start: pod "a": container "app": ErrImagePull: no such image',
    ],
  });
});
