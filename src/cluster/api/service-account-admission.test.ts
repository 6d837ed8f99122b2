import { expect, test } from "bun:test";
import type { Pod, PodSpec, ServiceAccount, VolumeMount } from "../../../generated/kubernetes.ts";
import { resources } from "../../k8s/catalogue.ts";
import type { KubeObject } from "../../k8s/object.ts";
import { StatusError } from "../../k8s/status-error.ts";
import { ManualClock } from "../../testing/manual-clock.ts";
import { openTestStore } from "../../testing/store-fixtures.ts";
import { startTestApi } from "./api.test-support.ts";
import { assignServiceAccount } from "./service-account-admission.ts";

const PLACE = "/var/run/secrets/kubernetes.io/serviceaccount";
const [info] = resources.filter(({ groupResource }) => groupResource === "pods");

interface Situation {
  readonly account?: Partial<ServiceAccount>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly operation?: "CREATE" | "UPDATE";
}

/** What becomes of the specification of a pod in a namespace whose account `default` is as the situation says. */
function admit(spec: PodSpec, { account = {}, annotations = {}, operation = "CREATE" }: Situation = {}) {
  const store = openTestStore({ clock: new ManualClock() });
  store.create("namespaces", { apiVersion: "v1", kind: "Namespace", metadata: { name: "shop" } });
  const metadata = { namespace: "shop", name: "default" };
  store.create("serviceaccounts", { apiVersion: "v1", kind: "ServiceAccount", ...account, metadata });
  const object: KubeObject = {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { namespace: "shop", name: "till", annotations },
    spec,
  };
  const given = structuredClone(object);
  if (info === undefined) throw new Error("There are no pods");
  try {
    const admitted = assignServiceAccount(store)({ info, object, operation, dryRun: false, warn: () => {} });
    return { ...(admitted as Pod).spec };
  } finally {
    expect(object).toEqual(given);
    store.close();
  }
}

const one: PodSpec = { containers: [{ name: "a" }] };
const mountsOf = ({ containers = [], initContainers = [] }: Partial<PodSpec>) =>
  [...initContainers, ...containers].map(({ volumeMounts = [] }) =>
    volumeMounts.map(({ mountPath }: VolumeMount) => mountPath),
  );
const volumesOf = ({ volumes = [] }: Partial<PodSpec>) => volumes.map(({ name }) => name);

test("a pod says who it is with the volume of upstream, to the letter [V17]", () => {
  const admitted = admit(one);
  const [name = ""] = volumesOf(admitted);
  expect(name).toMatch(/^kube-api-access-[bcdfghjklmnpqrstvwxz2456789]{5}$/);
  expect(admitted).toEqual({
    serviceAccountName: "default",
    serviceAccount: "default",
    containers: [{ name: "a", volumeMounts: [{ name, readOnly: true, mountPath: PLACE }] }],
    volumes: [
      {
        name,
        projected: {
          defaultMode: 420,
          sources: [
            { serviceAccountToken: { expirationSeconds: 3607, path: "token" } },
            { configMap: { name: "kube-root-ca.crt", items: [{ key: "ca.crt", path: "ca.crt" }] } },
            {
              downwardAPI: {
                items: [
                  { path: "namespace", fieldRef: { apiVersion: "v1", fieldPath: "metadata.namespace" } },
                ],
              },
            },
          ],
        },
      },
    ],
  });
});

test("every container and init container gets it, behind its own mounts; ephemeral ones do not [V17]", () => {
  const admitted = admit({
    initContainers: [{ name: "i" }],
    containers: [{ name: "a" }, { name: "b", volumeMounts: [{ name: "v", mountPath: "/v" }] }],
    ephemeralContainers: [{ name: "e" }],
    volumes: [{ name: "v", emptyDir: {} }],
  });
  expect(mountsOf(admitted)).toEqual([[PLACE], [PLACE], ["/v", PLACE]]);
  expect(admitted.ephemeralContainers).toEqual([{ name: "e" }]);
  expect(volumesOf(admitted)).toEqual(["v", expect.stringMatching(/^kube-api-access-/)]);
});

test("a container that mounts something at the place keeps it, and where all do there is no volume [V17]", () => {
  const own = { name: "own", volumeMounts: [{ name: "v", mountPath: PLACE }] };
  const volumes = [{ name: "v", emptyDir: {} }];
  const some = admit({ containers: [own, { name: "a" }], volumes });
  expect(some.containers?.[0]).toEqual(own);
  expect(mountsOf(some)).toEqual([[PLACE], [PLACE]]);
  expect(volumesOf(some)).toHaveLength(2);
  expect(volumesOf(admit({ containers: [own], volumes }))).toEqual(["v"]);
});

test("a volume of that name that is there is mounted, and no other added", () => {
  const admitted = admit({ ...one, volumes: [{ name: "kube-api-access-mine", emptyDir: {} }] });
  expect(volumesOf(admitted)).toEqual(["kube-api-access-mine"]);
  expect(admitted.containers?.[0]?.volumeMounts?.[0]?.name).toBe("kube-api-access-mine");
});

test.each<[pod: boolean | undefined, account: boolean | undefined, mounted: boolean]>([
  [undefined, undefined, true],
  [undefined, true, true],
  [undefined, false, false],
  [true, false, true],
  [false, true, false],
  [false, undefined, false],
])("automountServiceAccountToken: pod %p, account %p [V17]", (pod, account, mounted) => {
  const wish = (automountServiceAccountToken?: boolean) =>
    automountServiceAccountToken === undefined ? {} : { automountServiceAccountToken };
  const admitted = admit({ ...one, ...wish(pod) }, { account: wish(account) });
  expect(volumesOf(admitted)).toHaveLength(mounted ? 1 : 0);
  expect(admitted.serviceAccountName).toBe("default");
});

test("the account's imagePullSecrets are those of a pod that names none", () => {
  const account = { imagePullSecrets: [{ name: "registry" }] };
  expect(admit(one, { account }).imagePullSecrets).toEqual([{ name: "registry" }]);
  const imagePullSecrets = [{ name: "own" }];
  expect(admit({ ...one, imagePullSecrets }, { account }).imagePullSecrets).toEqual(imagePullSecrets);
  expect(admit(one)).not.toHaveProperty("imagePullSecrets");
});

test("what has been through it stays as it is, and a container that came since gets the same volume", () => {
  const once = admit({ containers: [{ name: "a" }], initContainers: [{ name: "i" }] });
  expect(admit(once as PodSpec)).toEqual(once);
  const injected = admit({ ...once, containers: [...(once.containers ?? []), { name: "proxy" }] });
  expect(mountsOf(injected)).toEqual([[PLACE], [PLACE], [PLACE]]);
  expect(volumesOf(injected)).toEqual(volumesOf(once));
});

test("only new pods are looked at, and what is wrong with them is for others to say", () => {
  expect(admit(one, { operation: "UPDATE" })).toEqual(one);
  expect(admit({ serviceAccountName: "default" } as PodSpec)).toEqual({
    serviceAccountName: "default",
    serviceAccount: "default",
  } as PodSpec);
});

test.each(["gone", "default2"])("the account %p has to exist", (name) => {
  const why = `error looking up service account shop/${name}: serviceaccount "${name}" not found`;
  let thrown: unknown;
  try {
    admit({ ...one, serviceAccountName: name });
  } catch (error) {
    thrown = error;
  }
  expect(thrown).toBeInstanceOf(StatusError);
  expect(thrown).toMatchObject({ reason: "Forbidden", message: `pods "till" is forbidden: ${why}` });
});

test("a namespace that is not there, or that is going, is told of in its own words", async () => {
  await using api = await startTestApi();
  await api.call("/api/v1/namespaces", { method: "POST", body: { metadata: { name: "going" } } });
  await api.call("/api/v1/namespaces/going", { method: "DELETE" });
  const body = { metadata: { name: "p" }, spec: { containers: [{ name: "c", image: "i" }] } };
  const post = async (namespace: string) => {
    const reply = await api.call(`/api/v1/namespaces/${namespace}/pods`, { method: "POST", body });
    return [reply.code, reply.body["message"]];
  };
  expect(await post("nowhere")).toEqual([404, 'namespaces "nowhere" not found']);
  const why = "unable to create new content in namespace going because it is being terminated";
  expect(await post("going")).toEqual([403, `pods "p" is forbidden: ${why}`]);
  expect((await post("default"))[0]).toBe(201);
});

const mirror = { annotations: { "kubernetes.io/config.mirror": "hash" } };

test("a mirror pod is left as the node made it", () => {
  expect(admit(one, mirror)).toEqual(one);
});

test.each<[words: string, spec: Partial<PodSpec>]>([
  ["a mirror pod may not reference service accounts", { serviceAccountName: "default" }],
  ["a mirror pod may not reference secrets", { volumes: [{ name: "v", secret: { secretName: "s" } }] }],
  ["a mirror pod may not reference secrets", { imagePullSecrets: [{ name: "s" }] }],
  [
    "a mirror pod may not use ServiceAccountToken volume projections",
    { volumes: [{ name: "v", projected: { sources: [{ serviceAccountToken: { path: "token" } }] } }] },
  ],
])("%s", (words, spec) => {
  expect(() => admit({ ...one, ...spec }, mirror)).toThrow(`pods "till" is forbidden: ${words}`);
});
