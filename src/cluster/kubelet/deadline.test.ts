import { expect, test } from "bun:test";
import { World } from "./test-support/world.ts";

test("activeDeadlineSeconds ends the pod as Failed with the kubelet's reason [O13, P13]", async () => {
  await using w = await new World().start();
  await w.run("p", { activeDeadlineSeconds: 60 });
  await w.advance(60_000);
  const { phase, reason, message } = w.pod().status ?? {};
  expect({ phase, reason, message }).toEqual({
    phase: "Failed",
    reason: "DeadlineExceeded",
    message: "Pod was active on the node longer than the specified deadline",
  });
});

test("activeDeadlineSeconds passes also while sidecars stop [O13, P13]", async () => {
  await using w = await new World().start();
  w.sandbox.behaviours.set("side", () => undefined);
  await w.run("p", {
    restartPolicy: "Never",
    activeDeadlineSeconds: 20,
    initContainers: [{ name: "side", image: "img", restartPolicy: "Always" }],
  });
  await w.advance(10_000);
  await w.exit("app", 0);
  await w.advance(10_000);
  expect(w.events()).toContain(
    "Normal DeadlineExceeded: Pod was active on the node longer than the specified deadline",
  );
  // The grace period goes on from where it began.
  await w.advance(19_999);
  expect([w.sandbox.running(), w.pod().status?.phase]).toEqual([["p/side"], "Running"]);
  await w.advance(1);
  expect(w.pod().status).toMatchObject({ phase: "Failed", reason: "DeadlineExceeded" });
});
