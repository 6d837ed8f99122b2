import { expect, test } from "bun:test";
import type { PodTemplateSpec } from "../../../../generated/kubernetes.ts";
import { isJsonObject } from "../../../lib/frozen-json.ts";
import { mergeTypeOf } from "../../../k8s/patch/merge-type.ts";
import { applyStrategicMergePatch } from "../../../k8s/patch/strategic-merge.ts";
import { type RevisedOwner, revisionData, surplusRevisions, templateOf } from "./controller-revisions.ts";

function ownerOf(template: PodTemplateSpec): RevisedOwner {
  return { apiVersion: "apps/v1", kind: "StatefulSet", metadata: { name: "web" }, spec: { template } };
}

const first: PodTemplateSpec = {
  metadata: { labels: { app: "web" } },
  spec: { containers: [{ name: "c", image: "app:1", env: [{ name: "A", value: "1" }] }] },
};
const second: PodTemplateSpec = {
  metadata: { labels: { app: "web", tier: "x" }, annotations: { a: "b" } },
  spec: {
    containers: [
      { name: "c", image: "app:2" },
      { name: "d", image: "other" },
    ],
    hostname: "h",
  },
};

test("the data of a revision, sent as a strategic patch, is the way back: kubectl rollout undo", () => {
  const patch = revisionData(ownerOf(first));
  if (!isJsonObject(patch)) throw new Error("not a patch");
  const undone = applyStrategicMergePatch(ownerOf(second), patch, mergeTypeOf("apps/v1", "StatefulSet"));
  expect(undone).toEqual(ownerOf(first));
});

test("a revision gives its template back, and none where the data is somebody else's", () => {
  const metadata = {};
  const revision = { apiVersion: "apps/v1", kind: "ControllerRevision", metadata };
  expect(templateOf({ ...revision, data: revisionData(ownerOf(second)) })).toEqual(second);
  for (const data of [undefined, 1, {}, { spec: 1 }, { spec: { template: "x" } }])
    expect(templateOf({ ...revision, data })).toBeUndefined();
});

test("the oldest idle revisions beyond the limit are superfluous", () => {
  const all = [1, 2, 3, 4].map((revision) => ({ apiVersion: "", kind: "", metadata: {}, revision }));
  const surplus = (limit: number) =>
    surplusRevisions(all, ({ revision }) => revision === 2, limit).map(({ revision }) => revision);
  expect([surplus(3), surplus(1), surplus(0)]).toEqual([[], [1, 3], [1, 3, 4]]);
});
