import { describe, expect, test } from "bun:test";
import type { Node, NodeSelectorTerm, PodSpec } from "../../generated/kubernetes.ts";
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

describe("the required node affinity", () => {
  const node: Node = { metadata: { name: "n1", labels: { disk: "ssd", cores: "8" } } };
  const fits = (...nodeSelectorTerms: NodeSelectorTerm[]) =>
    why(
      {
        affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms } } },
      },
      node,
    ) === undefined;
  const label = (key: string, operator: string, ...values: string[]): NodeSelectorTerm => ({
    matchExpressions: [{ key, operator, values }],
  });

  test.each<[NodeSelectorTerm, boolean]>([
    [label("disk", "In", "ssd", "nvme"), true],
    [label("disk", "In", "hdd"), false],
    [label("disk", "NotIn", "hdd"), true],
    [label("gpu", "NotIn", "x"), true],
    [label("disk", "Exists"), true],
    [label("gpu", "Exists"), false],
    [label("gpu", "DoesNotExist"), true],
    [label("cores", "Gt", "4"), true],
    [label("cores", "Lt", "4"), false],
    [label("disk", "Gt", "4"), false],
    [label("disk", "Like", "ssd"), false],
    [{ matchFields: [{ key: "metadata.name", operator: "In", values: ["n1"] }] }, true],
    [{ matchFields: [{ key: "metadata.name", operator: "In", values: ["n2"] }] }, false],
    [{}, false],
  ])("of %j is met: %p", (term, met) => {
    expect(fits(term)).toBe(met);
  });

  test("is met by one of its terms, each of which is met as a whole", () => {
    expect(fits(label("disk", "In", "hdd"), label("cores", "Exists"))).toBe(true);
    const both = {
      ...label("disk", "Exists"),
      matchFields: [{ key: "metadata.name", operator: "In", values: ["n2"] }],
    };
    expect(fits(both)).toBe(false);
  });
});
