import { expect, test } from "bun:test";
import type { PodSpec } from "../../../../generated/kubernetes.ts";
import { hasStorageLimit, whyEvicted } from "./storage-limits.ts";

const MIB = 1024 * 1024;
const limited = (storage: string) => ({ resources: { limits: { "ephemeral-storage": storage } } });

function pod(emptyDir: object = {}, container: object = {}, more: Partial<PodSpec> = {}): PodSpec {
  return { volumes: [{ name: "v", emptyDir }], containers: [{ name: "c", ...container }], ...more };
}

test.each<[string, PodSpec, { v?: number; c?: number; s?: number }, string | undefined]>([
  ["nothing is limited", pod(), { v: 999, c: 999 }, undefined],
  ["a volume is within its limit", pod({ sizeLimit: "10Mi" }), { v: 10 }, undefined],
  [
    "a volume exceeds its limit",
    pod({ sizeLimit: "10Mi" }),
    { v: 11 },
    'Usage of EmptyDir volume "v" exceeds the limit "10Mi". ',
  ],
  [
    "the limit is shown in its canonical form",
    pod({ sizeLimit: "10240Ki" }),
    { v: 11 },
    'Usage of EmptyDir volume "v" exceeds the limit "10Mi". ',
  ],
  ["a volume is of memory", pod({ sizeLimit: "10Mi", medium: "Memory" }), { v: 11 }, undefined],
  ["a limit is zero", pod({ sizeLimit: "0" }), { v: 11 }, undefined],
  [
    "volume and container together exceed the pod's",
    pod({}, limited("10Mi")),
    { v: 6, c: 5 },
    "Pod ephemeral local storage usage exceeds the total limit of containers 10Mi. ",
  ],
  [
    "memory does not count for the pod",
    pod({ medium: "Memory" }, limited("10Mi")),
    { v: 99, c: 5 },
    undefined,
  ],
  [
    "one container exceeds its own while the pod does not",
    pod({}, limited("10Mi"), {
      containers: [
        { name: "c", ...limited("10Mi") },
        { name: "d", ...limited("90Mi") },
      ],
    }),
    { c: 11 },
    'Container c exceeded its local ephemeral storage limit "10Mi". ',
  ],
  [
    "a sidecar exceeds its own, which counts for the pod only",
    pod({}, limited("90Mi"), { initContainers: [{ name: "s", restartPolicy: "Always", ...limited("1Mi") }] }),
    { s: 2 },
    undefined,
  ],
])("when %s [V4]", async (_what, spec, used, expected) => {
  const bytes = (name: string) => ((used as Record<string, number>)[name] ?? 0) * MIB;
  const use = { volume: async (name: string) => bytes(name), container: async (name: string) => bytes(name) };
  expect(await whyEvicted(spec, use)).toBe(expected);
});

test("a pod without limits is not measured, nor one that the cluster cannot do without", () => {
  const specs = [
    pod(),
    pod({ sizeLimit: "1Mi" }),
    pod({}, limited("1Mi")),
    pod({ sizeLimit: "1Mi", medium: "Memory" }),
  ];
  expect(specs.map(hasStorageLimit)).toEqual([false, true, true, false]);
  expect(hasStorageLimit(pod({ sizeLimit: "1Mi" }, {}, { priority: 2_000_000_000 }))).toBe(false);
});
