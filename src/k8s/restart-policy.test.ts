import { expect, test } from "bun:test";
import { restartsAfterExit, restartsAfterKill } from "./restart-policy.ts";

const rule = (operator: string, ...values: number[]) => ({
  action: "Restart",
  exitCodes: { operator, values },
});

test.each([
  ["Always", {}, 0, true],
  ["Always", {}, 1, true],
  ["OnFailure", {}, 0, false],
  ["OnFailure", {}, 1, true],
  ["Never", {}, 1, false],
  ["Never", { restartPolicy: "Always" }, 0, true],
  ["Always", { restartPolicy: "Never" }, 1, false],
  ["Always", { restartPolicy: "OnFailure" }, 0, false],
  ["Never", { restartPolicy: "Never", restartPolicyRules: [rule("In", 3, 42)] }, 42, true],
  ["Never", { restartPolicy: "Never", restartPolicyRules: [rule("In", 3, 42)] }, 1, false],
  ["Never", { restartPolicy: "Never", restartPolicyRules: [rule("NotIn", 0)] }, 1, true],
  ["Never", { restartPolicy: "Never", restartPolicyRules: [rule("NotIn", 0)] }, 0, false],
])("pod %s, container %j, exit code %d: %p [R1]", (restartPolicy, own, exitCode, expected) => {
  const container = { name: "c", ...own };
  expect(restartsAfterExit({ restartPolicy, containers: [container] }, container, exitCode)).toBe(expected);
});

test("a kill by the node is followed by a start unless the policy is Never [R12]", () => {
  const spec = { restartPolicy: "OnFailure", containers: [] };
  expect(restartsAfterKill(spec)).toBe(true);
  expect(restartsAfterKill(spec, { name: "c", restartPolicy: "Never" })).toBe(false);
});
