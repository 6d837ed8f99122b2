import { describe, expect, test } from "bun:test";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import type { Container } from "../../../generated/kubernetes.ts";
import { World } from "./test-support/world.ts";

const app = (part: Partial<Container> = {}) => ({ containers: [{ name: "app", image: "img", ...part }] });
const FALLBACK = { terminationMessagePolicy: "FallbackToLogsOnError" };

/** The file on the engine's side behind a path in the container. */
function messageFile(w: World, target = "/dev/termination-log"): string {
  return w.container("app").spec.mounts.find((mount) => mount.target === target)?.source ?? "none";
}

function log(w: World, lines: readonly string[]): void {
  const text = lines.map((line) => `2026-01-01T00:00:00.000000000Z stdout F ${line}\n`).join("");
  writeFileSync(w.container("app").spec.logPath, text);
}

function message(w: World): string | undefined {
  const { state, lastState } = w.status("app");
  return (state?.terminated ?? lastState?.terminated)?.message;
}

describe("a termination message", () => {
  test("is what the container wrote to its file, the last 4096 bytes of it [M1]", async () => {
    await using w = await new World().start();
    await w.run("p", { ...app({ terminationMessagePath: "/out/why" }), restartPolicy: "Never" });
    writeFileSync(messageFile(w, "/out/why"), `${"x".repeat(100)}${"y".repeat(4095)}z`);
    await w.exit("app", 0);
    expect(message(w)).toBe(`${"y".repeat(4095)}z`);
  });

  test("is left out when there is none, and where there is no path for it [M1]", async () => {
    await using w = await new World().start();
    await w.run("p", { ...app({ terminationMessagePath: "" }), restartPolicy: "Never" });
    expect(messageFile(w)).toBe("none");
    await w.exit("app", 1);
    expect(message(w)).toBeUndefined();
  });

  test("is a file of its own for each instance, that any user may write [M3]", async () => {
    await using w = await new World().start();
    await w.run("p", app());
    const first = messageFile(w);
    expect(statSync(first).mode & 0o777).toBe(0o666);
    writeFileSync(first, "first");
    await w.exit("app", 1);
    expect(message(w)).toBe("first");
    expect(messageFile(w)).not.toBe(first);
    expect(readFileSync(messageFile(w), "utf8")).toBe("");
    await w.exit("app", 1);
    expect(w.status("app").lastState?.terminated?.message).toBeUndefined();
  });

  test.each<[string, Partial<Container>, number, string, string | undefined]>([
    ["an empty file and a failure", FALLBACK, 1, "", "one\ntwo\n"],
    ["a message of its own", FALLBACK, 1, "said", "said"],
    ["success", FALLBACK, 0, "", undefined],
    ["another policy", {}, 1, "", undefined],
    ["no path for a message", { ...FALLBACK, terminationMessagePath: "" }, 1, "", "one\ntwo\n"],
  ])("comes from the log after %s or not [M2]", async (_what, container, exitCode, said, expected) => {
    await using w = await new World().start();
    await w.run("p", { ...app(container), restartPolicy: "Never" });
    log(w, ["one", "two"]);
    if (said !== "") writeFileSync(messageFile(w), said);
    await w.exit("app", exitCode);
    expect(message(w)).toBe(expected);
  });

  test("from the log is its last 80 lines, and no more than 2048 bytes [M2]", async () => {
    await using w = await new World().start();
    await w.run("p", { ...app(FALLBACK), restartPolicy: "Never" });
    log(
      w,
      Array.from({ length: 100 }, (_, index) => `line ${index}`),
    );
    await w.exit("app", 1);
    expect(message(w)?.split("\n").slice(0, -1)).toEqual(
      Array.from({ length: 80 }, (_, index) => `line ${index + 20}`),
    );
    await w.run("q", { ...app(FALLBACK), restartPolicy: "Never" });
    const path = w.container("app", "q").spec.logPath;
    writeFileSync(path, `2026-01-01T00:00:00.000000000Z stdout F ${"ä".repeat(3000)}\n`);
    await w.exit("app", 1, "q");
    const text = w.status("app", "q").state?.terminated?.message ?? "";
    expect(Buffer.byteLength(text)).toBeLessThanOrEqual(2050);
    expect(text).toEndWith("ä\n");
  });
});

test("each instance has a log of its own, under the names of namespace, pod and container [M4]", async () => {
  await using w = await new World().start();
  await w.run("p", app());
  const { uid } = w.pod().metadata;
  const path = () => relative(join(w.stateDir, "logs"), w.container("app").spec.logPath);
  expect(path()).toBe(`default_p_${uid}/app/0.log`);
  await w.exit("app", 1);
  expect(path()).toBe(`default_p_${uid}/app/1.log`);
});
