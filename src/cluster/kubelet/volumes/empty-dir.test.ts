import { describe, expect, test } from "bun:test";
import type { PodSpec } from "../../../../generated/kubernetes.ts";
import { isMemory, memoryVolumeSize } from "./empty-dir.ts";

const MIB = 1024 * 1024;

function limited(...limits: (string | undefined)[]): PodSpec {
  return {
    containers: limits.map((memory, index) => ({
      name: `c${index}`,
      resources: memory === undefined ? {} : { limits: { memory } },
    })),
  };
}

describe("a memory volume holds the least of", () => {
  test.each<[string, PodSpec, string | undefined, number]>([
    ["what the node has", limited(undefined), undefined, 1024],
    ["what the pod may use", limited("16Mi", "32Mi"), undefined, 48],
    ["what the node has, when one container is not limited", limited("16Mi", undefined), undefined, 1024],
    ["its own limit", limited("16Mi"), "8Mi", 8],
    ["the pod's limit, when its own is larger", limited("16Mi"), "64Mi", 16],
    ["the pod's limit, when its own is zero", limited("16Mi"), "0", 16],
    [
      "the limit of the pod itself",
      { ...limited(undefined), resources: { limits: { memory: "4Mi" } } },
      undefined,
      4,
    ],
    [
      "the pod's limit with its sidecars",
      {
        ...limited("16Mi"),
        initContainers: [{ name: "s", restartPolicy: "Always", resources: { limits: { memory: "4Mi" } } }],
      },
      undefined,
      20,
    ],
  ])("%s [V3]", (_what, spec, sizeLimit, expected) => {
    const source = sizeLimit === undefined ? {} : { sizeLimit };
    expect(memoryVolumeSize(source, spec, { memory: "1Gi" })).toBe(expected * MIB);
  });

  test("nothing that is known", () => {
    expect(memoryVolumeSize({}, limited(undefined), {})).toBe(0);
  });
});

test("huge pages are refused in so many words [V3]", () => {
  expect(isMemory({})).toBe(false);
  expect(isMemory({ medium: "Memory" })).toBe(true);
  expect(() => isMemory({ medium: "HugePages-2Mi" })).toThrow(
    'emptyDir medium "HugePages-2Mi" is not supported: use "Memory", or leave the medium out',
  );
  expect(() => isMemory({ medium: "Tape" })).toThrow('unknown storage medium "Tape"');
});
