/** kubectl carries the same patch libraries as the API server and runs them without one: `patch --local`. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import * as fc from "fast-check";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isJsonObject, type JsonObject } from "../../lib/frozen-json.ts";
import { StatusError } from "../status-error.ts";
import { kubectlPath } from "../../testing/kubectl.ts";
import { withoutDirectives } from "./directives.ts";
import { applyJsonPatch } from "./json-patch.ts";
import { mergeTypeOf } from "./merge-type.ts";
import { applyStrategicMergePatch } from "./strategic-merge.ts";

const RUNS = 25;
let home = "";

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), "pillion-parity-"));
});
afterAll(() => rm(home, { recursive: true, force: true }));

interface Outcome {
  readonly result?: unknown;
  readonly error?: string;
}

async function kubectlPatch(object: unknown, patch: unknown, type: string): Promise<Outcome> {
  const file = join(home, "object.json");
  await Bun.write(file, JSON.stringify(object));
  const args = ["patch", "--local", "-f", file, `--type=${type}`, "-p", JSON.stringify(patch), "-o", "json"];
  const run = Bun.spawnSync([await kubectlPath("35"), ...args], { env: { HOME: home } });
  if (run.exitCode === 0) return { result: JSON.parse(run.stdout.toString()) };
  return {
    error: run.stderr
      .toString()
      .trim()
      .replace(/^error: /, ""),
  };
}

/** kubectl prints typed objects: without what is empty and with what a struct always has. */
function bare(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(bare);
  if (!isJsonObject(value)) return value;
  const isEmpty = (one: unknown) =>
    one === null || (typeof one === "object" && Object.keys(one).length === 0);
  const kept = Object.entries(value).filter(
    ([key, one]) => key !== "status" && key !== "resources" && !isEmpty(one),
  );
  return Object.fromEntries(kept.map(([key, one]) => [key, bare(one)]));
}

const name = fc.constantFrom("a", "b", "c", "d");
const variable = fc.record({ name, value: fc.constantFrom("1", "2") }, { requiredKeys: ["name"] });
const container = fc.record(
  { name, image: fc.constantFrom("i", "j"), env: fc.uniqueArray(variable, { selector: (one) => one.name }) },
  { requiredKeys: ["name"] },
);
const finalizers = fc.uniqueArray(fc.constantFrom("f.io/1", "f.io/2", "f.io/3"));
const containers = fc.uniqueArray(container, { selector: (one) => one.name, minLength: 1 });
const pod = fc.tuple(containers, finalizers).map(([list, names]) => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "x", finalizers: names },
  spec: { containers: list },
}));

const deletion = name.map((one): JsonObject => ({ name: one, $patch: "delete" }));
const change = fc.oneof({ weight: 4, arbitrary: container }, { weight: 1, arbitrary: deletion });
const changes = fc.uniqueArray(change, { selector: (one) => one["name"], minLength: 1 });
const strategic = fc.tuple(changes, fc.boolean(), finalizers).map(([list, ordered, names]): JsonObject => {
  const order = list.filter((one) => !("$patch" in one)).map((one) => ({ name: one["name"] }));
  const directive = ordered && order.length > 0 ? { "$setElementOrder/containers": order } : {};
  return { metadata: { finalizers: names }, spec: { containers: list, ...directive } };
});

test("a strategic merge patch leaves what it leaves with kubectl, in the same order", async () => {
  const type = mergeTypeOf("v1", "Pod");
  await fc.assert(
    fc.asyncProperty(pod, strategic, async (object, patch) => {
      const { result } = await kubectlPatch(object, patch, "strategic");
      // kubectl leaves directives in items that are new.
      expect(bare(applyStrategicMergePatch(object, patch, type))).toEqual(bare(withoutDirectives(result)));
    }),
    { numRuns: RUNS },
  );
}, 60_000);

const map = {
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name: "x", finalizers: ["a", "b"] },
  data: { k: "v", "x/y": "z" },
};
const pointer = fc.constantFrom(
  "/data",
  "/data/k",
  "/data/n",
  "/data/x~1y",
  "/metadata/finalizers/1",
  "/metadata/finalizers/2",
  "/metadata/finalizers/-",
  "/metadata/finalizers/01",
  "/nope/a",
);
const operation = fc.record({
  op: fc.constantFrom("add", "remove", "replace", "move", "copy", "test"),
  path: pointer,
  from: pointer,
  value: fc.constantFrom("v", "s"),
});

test("a JSON patch does what it does with kubectl, and is refused in the same words", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(operation, { minLength: 1, maxLength: 2 }), async (patch) => {
      const expected = await kubectlPatch(map, patch, "json");
      const isOurs =
        expected.error === undefined || /: (missing value|test failed|invalid )/.test(expected.error);
      // What cannot be printed as a ConfigMap is kubectl's trouble, and it words a missing field itself.
      if (!isOurs || expected.error?.startsWith("Object to be patched") === true) return;
      expect(outcomeOf(patch)).toEqual(expected);
    }),
    { numRuns: RUNS },
  );
}, 60_000);

function outcomeOf(patch: unknown): Outcome {
  try {
    return { result: applyJsonPatch(map, patch) };
  } catch (error) {
    if (!(error instanceof StatusError)) throw error;
    return { error: error.details?.causes?.[0]?.message ?? error.message };
  }
}
