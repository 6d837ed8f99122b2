import { expect, test } from "bun:test";
import type { Node, PodSpec } from "../../../generated/kubernetes.ts";
import { whyUnfit } from "./node-fit.ts";

const why = (spec: Partial<PodSpec>, node: Node) => whyUnfit({ spec: { containers: [], ...spec } }, node);
const AGAIN = " preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.";

test("a Pod fits a node that has nothing against it", () => {
  expect(why({}, {})).toBeUndefined();
  const soft: Node = { spec: { taints: [{ key: "a", effect: "PreferNoSchedule" }] } };
  expect(why({}, soft)).toBeUndefined();
});

test("a cordoned node takes only Pods that tolerate it", () => {
  const cordoned: Node = { spec: { unschedulable: true } };
  expect(why({}, cordoned)).toBe(`0/1 nodes are available: 1 node(s) were unschedulable.${AGAIN}`);
  expect(why({ tolerations: [{ operator: "Exists" }] }, cordoned)).toBeUndefined();
});

const tainted: Node = { spec: { taints: [{ key: "a", value: "b", effect: "NoSchedule" }] } };

test.each([
  [{ key: "a", value: "b" }, true],
  [{ key: "a", value: "b", effect: "NoSchedule" }, true],
  [{ key: "a", value: "b", effect: "NoExecute" }, false],
  [{ key: "a", value: "c" }, false],
  [{ key: "a", operator: "Exists" }, true],
  [{ key: "b", operator: "Exists" }, false],
  [{ operator: "Exists", effect: "NoSchedule" }, true],
] as const)("the toleration %j of the taint a=b:NoSchedule counts: %p", (toleration, fits) => {
  const expected = `0/1 nodes are available: 1 node(s) had untolerated taint {a: b}.${AGAIN}`;
  expect(why({ tolerations: [toleration] }, tainted)).toBe(fits ? undefined : expected);
});

test("every label of nodeSelector must be the node's", () => {
  const node: Node = { metadata: { labels: { disk: "ssd" } } };
  expect(why({ nodeSelector: { disk: "ssd" } }, node)).toBeUndefined();
  expect(why({ nodeSelector: { disk: "ssd", zone: "a" } }, node)).toBe(
    `0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector.${AGAIN}`,
  );
});
