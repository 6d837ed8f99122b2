import { describe, expect, test } from "bun:test";
import { readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { ContainerStartError } from "../sandbox/sandbox.ts";
import { FakeSandbox } from "./test-support/fake-sandbox.ts";
import { World } from "./test-support/world.ts";

test("a start that no status tells of is counted by the logs that are there [R11]", async () => {
  await using w = await new World().start();
  await w.run("p", {});
  await w.kubelet?.stop();
  const { logPath } = w.container("app").spec;
  for (const name of ["3.log", "4.log"]) writeFileSync(join(dirname(logPath), name), "");
  const status = { phase: "Pending" };
  const at = { namespace: "default", name: "p" };
  w.store.update("pods", at, (pod) => ({ ...pod, status }), { subresource: "status" });
  w.sandbox = new FakeSandbox(w.clock);
  await w.start();
  expect([w.state("app"), w.status("app").restartCount]).toEqual(["Running", 5]);
});

describe("starts that fail", () => {
  test("of the program: RunContainerError, an instance with exit code 128, then back-off [S2, S6]", async () => {
    await using w = await new World().start();
    const message = 'exec: "/nope": no such file or directory';
    w.sandbox.startErrors.set("app", new ContainerStartError("StartError", message));
    await w.run("p", {});
    expect(w.status("app")).toMatchObject({
      restartCount: 1,
      state: { waiting: { reason: "CrashLoopBackOff" } },
      lastState: { terminated: { exitCode: 128, reason: "StartError", message } },
    });
    expect(w.events()).toContain(`Warning Failed: Error: ${message} (x2)`);
    await w.run("q", { restartPolicy: "Never" });
    expect([w.state("app", "q"), w.pod("q").status?.phase]).toEqual(["StartError 128", "Failed"]);
  });

  test("of the container: tried again after ten seconds [S2]", async () => {
    await using w = await new World().start();
    w.sandbox.startErrors.set("app", new ContainerStartError("CreateContainerError", "cannot mount /x"));
    await w.run("p", {});
    expect(w.status("app").state?.waiting).toEqual({
      reason: "CreateContainerError",
      message: "cannot mount /x",
    });
    w.sandbox.startErrors.clear();
    await w.advance(10_000);
    expect(w.status("app")).toMatchObject({ restartCount: 0, state: { running: {} } });
  });

  test("of the sandbox: an event, tried again", async () => {
    await using w = await new World().start();
    w.sandbox.createError = new Error("no addresses left");
    await w.run("p", {});
    expect(w.events()).toEqual([
      "Warning FailedCreatePodSandBox: Failed to create pod sandbox: no addresses left",
    ]);
    w.sandbox.createError = undefined;
    await w.advance(500);
    expect(w.state("app")).toBe("Running");
  });

  test("leave the logs of the last instance and of the one before, and no files for messages", async () => {
    await using w = await new World().start();
    w.sandbox.startErrors.set("app", new ContainerStartError("StartError", "no"));
    await w.run("p", {});
    const { uid } = w.pod().metadata;
    const logs = join(w.stateDir, "logs", `default_p_${uid}`, "app");
    for (let tries = 0; tries < 4; tries++) {
      writeFileSync(join(logs, `${w.status("app").restartCount}.log`), "");
      await w.advance(300_000);
    }
    writeFileSync(join(logs, `${w.status("app").restartCount}.log`), "");
    expect(readdirSync(logs).toSorted()).toEqual(["4.log", "5.log"]);
    expect(readdirSync(join(w.stateDir, "pods", uid, "containers", "app"))).toHaveLength(1);
  });
});
