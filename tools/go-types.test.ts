import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { kubectlPath } from "../src/testing/kubectl.ts";
import { type GoType, readGoTypes } from "./go-types.ts";

const CORE = "k8s.io/api/core/v1";

async function findType(version: "29" | "35", text: string): Promise<GoType | undefined> {
  const types = readGoTypes(readFileSync(await kubectlPath(version)));
  return types.find((type) => type.text === text && type.packagePath === CORE);
}

test.each(["29", "35"] as const)(
  "readGoTypes() reads fields and tags out of kubectl 1.%s",
  async (version) => {
    const container = await findType(version, "v1.Container");
    const ports = container?.fields().find(({ name }) => name === "Ports");
    expect(ports).toMatchObject({
      embedded: false,
      tag: 'json:"ports,omitempty" patchStrategy:"merge" patchMergeKey:"containerPort" protobuf:"bytes,6,rep,name=ports"',
      type: { kind: "slice", text: "[]v1.ContainerPort" },
    });
    expect(ports?.type.element()).toMatchObject({
      kind: "struct",
      text: "v1.ContainerPort",
      packagePath: CORE,
    });
  },
);

test("readGoTypes() knows pointers, maps and embedded structs", async () => {
  const secret = await findType("35", "v1.Secret");
  const shown = secret?.fields().map(({ name, embedded, type }) => [name, embedded, type.kind, type.text]);
  expect(shown).toEqual([
    ["TypeMeta", true, "struct", "v1.TypeMeta"],
    ["ObjectMeta", true, "struct", "v1.ObjectMeta"],
    ["Immutable", false, "pointer", "*bool"],
    ["Data", false, "map", "map[string][]uint8"],
    ["StringData", false, "map", "map[string]string"],
    ["Type", false, "string", "v1.SecretType"],
  ]);
});

test("readGoTypes() refuses what is no such program", () => {
  expect(() => readGoTypes(Buffer.alloc(4096))).toThrow('The program has no section ".rodata"');
});
