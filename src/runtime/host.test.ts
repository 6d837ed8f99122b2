import { mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync, chmodSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "bun:test";
import { systemClock } from "../kernel/clock.ts";
import { Output } from "../lib/output.ts";
import { FakeHost } from "../testing/fake-host.ts";
import { FolderWatches } from "./folder-watches.ts";
import { createHost } from "./host.ts";
import { parseLabels, podIdentity } from "./pod-identity.ts";
import { makeStateFolder } from "./state-folder.ts";

const root = mkdtempSync(join(tmpdir(), "pillion-real-host-"));
afterAll(() => rmSync(root, { recursive: true }));

function setUp() {
  const blamed: unknown[] = [];
  using fake = new FakeHost();
  const watches = new FolderWatches(systemClock, () => undefined);
  const world = {
    clock: systemClock,
    env: { TOKEN: "x" },
    pod: podIdentity({}),
    stdout: new Output(1),
    watches,
  };
  const blame = (thrown: unknown): void => void blamed.push(thrown);
  return {
    blamed,
    host: createHost(world, { log: fake.log, stateFolder: root, report: () => undefined, blame }),
  };
}

test("fetch() follows no redirect, whatever the caller asks for", async () => {
  using server = Bun.serve({
    port: 0,
    fetch: ({ url }) => (url.endsWith("/end") ? new Response("followed") : Response.redirect("/end", 307)),
  });
  const { host } = setUp();
  for (const init of [undefined, { method: "POST", body: "x" }, { redirect: "follow" } as const])
    expect((await host.fetch(server.url, init)).status).toBe(307);
});

test("fetch() ends when its signal says so, also while the other side is silent", async () => {
  using server = Bun.serve({ port: 0, fetch: () => new Promise<Response>(() => undefined), idleTimeout: 0 });
  const stop = new AbortController();
  const answer = setUp().host.fetch(server.url, { signal: stop.signal });
  stop.abort(new Error("enough"));
  expect(await answer.catch((error: unknown) => error)).toMatchObject({ message: "enough" });
});

test("what a timer's or a watch's callback throws is laid at the sidecar's door, and nowhere else", async () => {
  const { host, blamed } = setUp();
  const [told, due] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  host.schedule(1, () => {
    due.resolve();
    throw new Error("timer");
  });
  const watch = host.watchFolder(root, () => {
    told.resolve();
    throw new Error("watch");
  });
  writeFileSync(join(root, "file"), "");
  await Promise.all([told.promise, due.promise]);
  watch.close();
  expect(blamed.map(String).toSorted()).toEqual(["Error: timer", "Error: watch"]);
  expect(await host.readSecret({ env: "TOKEN" })).toBe("x");
});

test("a state folder is made with mode 0700 below folders that are missing, and an existing one is closed to others", () => {
  const state = join(root, "deep", "state");
  const path = makeStateFolder(state, "access-log");
  expect([path, statSync(path).mode & 0o777]).toEqual([join(state, "access-log"), 0o700]);
  chmodSync(path, 0o755);
  makeStateFolder(state, "access-log");
  expect(statSync(path).mode & 0o777).toBe(0o700);
});

test("no name leads out of the state folder, and no symlink in it does", () => {
  for (const name of ["", ".", "..", "a/b", "/a", "a\0", "../a", "A"])
    expect(() => makeStateFolder(root, name)).toThrow(RangeError);
  mkdirSync(join(root, "outside"), { mode: 0o755 });
  symlinkSync(join(root, "outside"), join(root, "trap"));
  expect(() => makeStateFolder(root, "trap")).toThrow(expect.objectContaining({ code: "E_STATE_FOLDER" }));
  expect(statSync(join(root, "outside")).mode & 0o777).toBe(0o755);
  writeFileSync(join(root, "a-file"), "");
  expect(() => makeStateFolder(join(root, "a-file"), "x")).toThrow(
    expect.objectContaining({ code: "E_STATE_FOLDER" }),
  );
});

test("the pod is what the downward API says; empty variables say nothing, and a host name counts in a pod only", () => {
  const labels = join(root, "labels");
  writeFileSync(labels, 'app="web"\npod-template-hash="5d4f"\n');
  const env = {
    POD_NAME: "web-1",
    POD_NAMESPACE: "shop",
    POD_UID: "",
    NODE_NAME: "n1",
    PILLION_POD_LABELS: labels,
  };
  expect(podIdentity(env)).toEqual({
    name: "web-1",
    namespace: "shop",
    uid: undefined,
    node: "n1",
    ip: undefined,
    labels: { app: "web", "pod-template-hash": "5d4f" },
  });
  expect(podIdentity({ HOSTNAME: "laptop" }).name).toBeUndefined();
  expect(podIdentity({ HOSTNAME: "web-2", KUBERNETES_SERVICE_HOST: "10.0.0.1" }).name).toBe("web-2");
  expect(parseLabels('a.b/c="x"\nbroken\n=""\n')).toEqual({ "a.b/c": "x" });
});
