import { describe, expect, test } from "bun:test";
import { ManualClock } from "../../testing/manual-clock.ts";
import { type Json, startTestApi, type TestApi } from "./api.test-support.ts";

const CONFIG_MAPS = "/api/v1/namespaces/default/configmaps";
const INITIAL = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan";
const TABLE = { Accept: "application/json;as=Table;v=v1;g=meta.k8s.io,application/json" };

async function create(api: TestApi, name: string, more: object = {}): Promise<Json> {
  const { body } = await api.call(CONFIG_MAPS, { method: "POST", body: { metadata: { name, ...more } } });
  return body;
}

async function versionOf(api: TestApi): Promise<string> {
  const { body } = await api.call(CONFIG_MAPS);
  return (body["metadata"] as { resourceVersion: string }).resourceVersion;
}

/** `TYPE name` of the next events. */
async function take(lines: AsyncGenerator<Json>, count: number): Promise<string[]> {
  const seen: string[] = [];
  while (seen.length < count) {
    const { done, value } = await lines.next();
    if (done === true) break;
    const { type, object } = value as { type: string; object: { metadata?: { name?: string } } };
    seen.push(`${type} ${object.metadata?.name ?? ""}`.trim());
  }
  return seen;
}

describe("watch", () => {
  test("tells what happens after a version, in order, and no other namespace's", async () => {
    await using api = await startTestApi();
    await create(api, "before");
    const lines = await api.lines(`${CONFIG_MAPS}?watch=true&resourceVersion=${await versionOf(api)}`);
    await create(api, "after");
    api.store.create("configmaps", {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: "elsewhere", namespace: "kube-system" },
    });
    await api.call(`${CONFIG_MAPS}/before`, { method: "DELETE" });
    expect(await take(lines, 2)).toEqual(["ADDED after", "DELETED before"]);
    await lines.return(undefined);
  });

  test("without a version begins with what is there", async () => {
    await using api = await startTestApi();
    await create(api, "there");
    const lines = await api.lines(`${CONFIG_MAPS}?watch=1`);
    expect(await take(lines, 1)).toEqual(["ADDED there"]);
    await lines.return(undefined);
  });

  test("sends initial events, then the bookmark that ends them, then changes (KEP-3157)", async () => {
    await using api = await startTestApi();
    await create(api, "there");
    const lines = await api.lines(`${CONFIG_MAPS}?watch=true&${INITIAL}&allowWatchBookmarks=true`);
    expect(await take(lines, 1)).toEqual(["ADDED there"]);
    expect((await lines.next()).value).toEqual({
      type: "BOOKMARK",
      object: {
        kind: "ConfigMap",
        apiVersion: "v1",
        metadata: {
          resourceVersion: await versionOf(api),
          annotations: { "k8s.io/initial-events-end": "true" },
        },
      },
    });
    await create(api, "new");
    expect(await take(lines, 1)).toEqual(["ADDED new"]);
    await lines.return(undefined);
  });

  test("with a selector shows objects that enter and leave it", async () => {
    await using api = await startTestApi();
    const lines = await api.lines(`${CONFIG_MAPS}?watch=true&labelSelector=on`);
    await create(api, "lamp");
    const set = async (on: string | null) =>
      await api.call(`${CONFIG_MAPS}/lamp`, {
        method: "PATCH",
        body: { metadata: { labels: { on } } },
        headers: { "Content-Type": "application/merge-patch+json" },
      });
    await set("1");
    await set("2");
    await set(null);
    expect(await take(lines, 3)).toEqual(["ADDED lamp", "MODIFIED lamp", "DELETED lamp"]);
    await lines.return(undefined);
  });

  test("from a version that history no longer has is an ERROR event and then the end", async () => {
    await using api = await startTestApi({ historyLimit: 4 });
    const old = await versionOf(api);
    for (let i = 0; i < 8; i += 1) await create(api, `c${i}`);
    const events: Json[] = [];
    for await (const event of await api.lines(`${CONFIG_MAPS}?watch=true&resourceVersion=${old}`))
      events.push(event);
    expect(events).toEqual([
      {
        type: "ERROR",
        object: expect.objectContaining({
          kind: "Status",
          code: 410,
          reason: "Expired",
          message: expect.stringContaining("too old resource version"),
        }),
      },
    ]);
  });

  test("shows rows where a Table is asked for; the first one brings the columns", async () => {
    await using api = await startTestApi();
    await create(api, "first");
    const lines = await api.lines(`${CONFIG_MAPS}?watch=true`, TABLE);
    await create(api, "second");
    const { value: first } = await lines.next();
    const { value: second } = await lines.next();
    expect([first, second]).toMatchObject([
      {
        type: "ADDED",
        object: {
          kind: "Table",
          columnDefinitions: [{ name: "Name" }, { name: "Data" }, { name: "Age" }],
          rows: [{ cells: ["first", 0, expect.any(String)], object: { kind: "PartialObjectMetadata" } }],
        },
      },
      { type: "ADDED", object: { kind: "Table", columnDefinitions: null, rows: [{}] } },
    ]);
    await lines.return(undefined);
  });

  test("sends bookmarks every minute to those who allow them, and ends after timeoutSeconds", async () => {
    const clock = new ManualClock();
    await using api = await startTestApi({ clock });
    const lines = await api.lines(`${CONFIG_MAPS}?watch=true&allowWatchBookmarks=true&timeoutSeconds=150`);
    const plain = await api.lines(`${CONFIG_MAPS}?watch=true&timeoutSeconds=150`);
    await create(api, "x");
    expect([await take(lines, 1), await take(plain, 1)]).toEqual([["ADDED x"], ["ADDED x"]]);
    clock.advance(61_000);
    expect((await lines.next()).value).toEqual({
      type: "BOOKMARK",
      object: { kind: "ConfigMap", apiVersion: "v1", metadata: { resourceVersion: await versionOf(api) } },
    });
    clock.advance(90_000);
    expect([await take(lines, 5), await take(plain, 5)]).toEqual([["BOOKMARK"], []]);
    expect(clock.pending).toBe(0);
  });

  test("tells all that came before its end, also what was to be told together", async () => {
    const clock = new ManualClock();
    await using api = await startTestApi({ clock });
    const lines = await api.lines(`${CONFIG_MAPS}?watch=true&timeoutSeconds=150`);
    await create(api, "first");
    expect(await take(lines, 1)).toEqual(["ADDED first"]);
    const names = ["a", "b", "c", "d"];
    for (const name of names) {
      const metadata = { name, namespace: "default" };
      api.store.create("configmaps", { apiVersion: "v1", kind: "ConfigMap", metadata });
    }
    clock.advance(150_000);
    expect(await take(lines, 9)).toEqual(names.map((name) => `ADDED ${name}`));
  });

  test("ends, and frees its timers, when the client goes away and when the server closes", async () => {
    const clock = new ManualClock();
    const api = await startTestApi({ clock });
    const gone = await api.lines(`${CONFIG_MAPS}?watch=true&allowWatchBookmarks=true`);
    const stays = await api.lines(`${CONFIG_MAPS}?watch=true&allowWatchBookmarks=true`);
    await create(api, "x");
    await take(gone, 1);
    await take(stays, 1);
    expect(clock.pending).toBe(4);
    await gone.return(undefined);
    while (clock.pending > 2) await Bun.sleep(1);
    const rest = take(stays, 1).catch(() => ["broken off"]);
    await api[Symbol.asyncDispose]();
    expect([[], ["broken off"]]).toContainEqual(await rest);
    expect(clock.pending).toBe(0);
  });

  test("of thousands of objects reaches a client that reads slowly, whole and in order", async () => {
    await using api = await startTestApi();
    const COUNT = 3_000;
    const filler = "x".repeat(2_000);
    for (let i = 0; i < COUNT; i += 1) {
      api.store.create("configmaps", {
        apiVersion: "v1",
        kind: "ConfigMap",
        metadata: { name: `c${String(i).padStart(4, "0")}`, namespace: "default" },
        data: { filler },
      });
    }
    const names: string[] = [];
    for await (const { type, object } of await api.lines(`${CONFIG_MAPS}?watch=true&${INITIAL}`)) {
      if (type === "BOOKMARK") break;
      names.push((object as { metadata: { name: string } }).metadata.name);
      if (names.length % 1_000 === 0) await Bun.sleep(1);
    }
    expect(names).toEqual(names.toSorted());
    expect(names.length).toBe(COUNT);
  }, 20_000);

  test("by a client that never reads is closed, and costs no memory", async () => {
    await using api = await startTestApi();
    const socket = await api.connect();
    const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
    socket.on("error", () => {});
    socket.pause();
    socket.write(
      `GET ${CONFIG_MAPS}?watch=true HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${api.pki.token}\r\n\r\n`,
    );
    await create(api, "big", {});
    const before = process.memoryUsage().rss;
    for (let i = 0; i < 100; i += 1) {
      api.store.update("configmaps", { namespace: "default", name: "big" }, (current) => ({
        ...current,
        data: { filler: `${i}`.repeat(100_000) },
      }));
      await Bun.sleep(0);
    }
    socket.resume();
    await closed;
    expect(process.memoryUsage().rss - before).toBeLessThan(200 << 20);
    expect((await api.call("/version")).code).toBe(200);
  }, 20_000);
});
