import { expect, test } from "bun:test";
import type { Pod } from "../../generated/kubernetes.ts";
import type { ApiClient } from "./api-client.ts";
import { waitReady } from "./wait-ready.ts";

function pod(phase: string, ready: boolean): Pod {
  const conditions = [{ type: "Ready", status: ready ? "True" : "False" }];
  return { metadata: { namespace: "default", name: "a" }, status: { phase, conditions } };
}

/** An API whose watch hands over everything at once. */
function apiThatTells(...changes: readonly Pod[]): ApiClient {
  const api = {
    request: () => Promise.resolve({ items: [pod("Pending", false)], metadata: { resourceVersion: "1" } }),
    async *watch() {
      for (const object of changes) yield await Promise.resolve({ type: "MODIFIED", object });
    },
  };
  return api as unknown as ApiClient;
}

const pods = [{ namespace: "default", name: "a" }];

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
