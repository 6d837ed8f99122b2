import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { at, configMap, namespace, openTestStore, pod, statusOf } from "../../testing/store-fixtures.ts";
import { storeContract } from "../../testing/store-contract.ts";
import { ManualClock } from "../../testing/manual-clock.ts";
import { resourceOf } from "../../k8s/catalogue.ts";
import { openStore } from "./open-store.ts";

storeContract("a store in memory", () => {
  const store = openTestStore();
  return { store, close: () => store.close() };
});

storeContract("a store in a file", () => {
  const folder = mkdtempSync(join(tmpdir(), "pillion-store-"));
  const store = openTestStore({ path: join(folder, "cluster.db") });
  return {
    store,
    close() {
      store.close();
      rmSync(folder, { recursive: true });
    },
  };
});

describe("openStore()", () => {
  test("finds everything again and goes on counting, also past what was deleted last", () => {
    const folder = mkdtempSync(join(tmpdir(), "pillion-store-"));
    const path = join(folder, "cluster.db");
    const before = openTestStore({ path });
    const kept = before.create("pods", pod("a", { metadata: { labels: { ünï: "çødé \u{1F600}" } } }));
    before.create("configmaps", configMap("b"));
    before.delete("configmaps", at("b"));
    expect(before.resourceVersion()).toBe("5");
    before.close();

    const after = openTestStore({ path });
    expect(after.get("pods", at("a"))).toEqual(kept);
    expect(after.list("configmaps").items).toEqual([]);
    expect(after.resourceVersion()).toBe("5");
    expect(after.create("configmaps", configMap("b")).metadata.resourceVersion).toBe("6");
    after.close();
    rmSync(folder, { recursive: true });
  });

  test("starts a new cluster's count at the time, so that versions of an earlier cluster are in the past", () => {
    const clock = new ManualClock();
    const open = () => openStore({ path: ":memory:", clock, resources: resourceOf });
    const earlier = open();
    earlier.create("namespaces", namespace("default"));
    const old = earlier.create("pods", pod("a")).metadata.resourceVersion ?? "";
    earlier.close();
    clock.advance(1_000);
    const later = open();
    expect(statusOf(() => later.watch("pods", { resourceVersion: old }, () => {})).reason).toBe("Expired");
    later.close();
  });

  test("a closed store refuses writes and may be closed again", () => {
    const store = openTestStore();
    store.close();
    store.close();
    expect(statusOf(() => store.create("pods", pod("a"))).reason).toBe("ServiceUnavailable");
  });
});
