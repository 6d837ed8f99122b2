import { expect, test } from "bun:test";
import type { Secret } from "../../../generated/kubernetes.ts";
import { ManualClock } from "../../testing/manual-clock.ts";
import { openTestStore } from "../../testing/store-fixtures.ts";
import { type SecretToken, startTokenSecretController } from "./token-secrets.ts";

const AT = { namespace: "default", name: "robot-token" };

function openWorld() {
  const clock = new ManualClock();
  const store = openTestStore({ clock });
  const asked: SecretToken[] = [];
  const issue = (wish: SecretToken) => `token ${asked.push(wish)}`;
  const start = (caCertificate = "CA") => startTokenSecretController({ store, clock, caCertificate, issue });
  const account = () => {
    const metadata = { namespace: "default", name: "robot" };
    return store.create("serviceaccounts", { apiVersion: "v1", kind: "ServiceAccount", metadata });
  };
  const ask = (more: object = {}, annotations = {}) =>
    store.create("secrets", {
      apiVersion: "v1",
      kind: "Secret",
      metadata: { ...AT, annotations: { "kubernetes.io/service-account.name": "robot", ...annotations } },
      type: "kubernetes.io/service-account-token",
      ...more,
    });
  const secret = (): Secret | undefined => store.get("secrets", AT);
  const data = () =>
    Object.fromEntries(
      Object.entries(secret()?.data ?? {}).map(([key, value]) => [
        key,
        Buffer.from(value, "base64").toString(),
      ]),
    );
  return { store, asked, start, account, ask, secret, data };
}

const settled = () => Promise.resolve();

test("a Secret gets token, CA and namespace of the account that it names, once", async () => {
  const { store, asked, start, account, ask, secret, data } = openWorld();
  const { metadata } = account();
  const stop = start();
  const { metadata: made } = ask({ data: { more: Buffer.from("mine").toString("base64") } });
  await settled();
  expect(data()).toEqual({ "ca.crt": "CA", namespace: "default", token: "token 1", more: "mine" });
  expect(secret()?.metadata?.annotations).toEqual({
    "kubernetes.io/service-account.name": "robot",
    "kubernetes.io/service-account.uid": metadata.uid ?? "",
  });
  expect(asked).toEqual([
    { namespace: "default", serviceAccount: "robot", secret: { name: AT.name, uid: made.uid ?? "" } },
  ]);
  const version = store.resourceVersion();
  stop();
  start()();
  await settled();
  expect(store.resourceVersion()).toBe(version);
});

test("another CA is written beside the token that is there, and a token that was taken out is replaced", async () => {
  const { store, start, account, ask, data } = openWorld();
  account();
  start()();
  ask();
  const stop = start("new CA");
  await settled();
  expect(data()).toEqual({ "ca.crt": "new CA", namespace: "default", token: "token 1" });
  stop();
  start("newer CA");
  await settled();
  expect(data()).toEqual({ "ca.crt": "newer CA", namespace: "default", token: "token 1" });
  store.update("secrets", AT, (current) => ({ ...current, data: {} }));
  await settled();
  expect(data()["token"]).toBe("token 2");
});

test("a Secret of an account that is not there goes, as it does with the account", async () => {
  const { store, start, account, ask, secret } = openWorld();
  start();
  ask();
  await settled();
  expect(secret()).toBeUndefined();
  account();
  ask();
  await settled();
  expect(secret()).toBeDefined();
  store.delete("serviceaccounts", { namespace: "default", name: "robot" });
  await settled();
  expect(secret()).toBeUndefined();
});

test("a Secret of an account of that name that was another one goes, too; other Secrets stay", async () => {
  const { store, start, account, ask, secret } = openWorld();
  account();
  start();
  ask({}, { "kubernetes.io/service-account.uid": "other" });
  store.create("secrets", {
    apiVersion: "v1",
    kind: "Secret",
    metadata: { ...AT, name: "opaque" },
    type: "Opaque",
  });
  await settled();
  expect(secret()).toBeUndefined();
  expect(store.get("secrets", { ...AT, name: "opaque" })).not.toHaveProperty("data");
});
