/** Charts that bring kinds of their own, and releases that two versions of helm work on. */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { type HelmVersion, openHelm } from "./helm-session.ts";
import { TEST_MS, useWorkloadCluster } from "./workload-cluster.ts";

const charts = join(import.meta.dirname, "charts");
const SHOP = join(charts, "shop");
const WIDGETS = join(charts, "widgets");
const FLEET = join(charts, "fleet");
const WAIT = ["--wait", "--timeout=30s"];
const VERSIONS: readonly HelmVersion[] = ["3.17", "4.1"];
const cluster = useWorkloadCluster();

describe.each(VERSIONS)("helm %s", (version) => {
  test(
    "installs a chart with a CustomResourceDefinition, an object of it and a Job",
    async () => {
      const namespace = `widgets-${version.replace(".", "-")}`;
      const kubectl = await cluster.open("35", namespace);
      const helm = await openHelm(cluster.home, { version, namespace });
      await helm.must(["install", "w", WIDGETS, "--wait-for-jobs", ...WAIT]);
      expect(await kubectl.must(["get", "wd"])).toBe("NAME   SIZE\nw      3\n");
      await helm.must(["upgrade", "w", WIDGETS, "--set", "size=5"]);
      expect(await kubectl.must(["get", "widget", "w", "-o", "jsonpath={.spec}"])).toBe(
        '{"colour":"red","size":5}',
      );
      const refused = await helm.run(["upgrade", "w", WIDGETS, "--set", "size=0"]);
      expect(refused.stderr).toContain(
        'Widget.shop.example "w" is invalid: spec.size: Invalid value: 0: spec.size in body should be greater than or equal to 1',
      );
      await helm.must(["uninstall", "w", ...WAIT]);
      // Helm never removes definitions.
      expect(await kubectl.must(["get", "crd", "-o", "name"])).toBe(
        "customresourcedefinition.apiextensions.k8s.io/widgets.shop.example\n",
      );
      await kubectl.must(["delete", "crd", "widgets.shop.example"]);
      expect((await helm.run(["install", "w", WIDGETS, "--skip-crds"])).stderr).toContain(
        'no matches for kind "Widget" in version "shop.example/v1"',
      );
    },
    TEST_MS,
  );

  test(
    "installs an object of nearly every kind, and keeps what the chart wants kept",
    async () => {
      const namespace = `fleet-${version.replace(".", "-")}`;
      const kubectl = await cluster.open("35", namespace);
      const helm = await openHelm(cluster.home, { version, namespace });
      const password = () => kubectl.must(["get", "secret", "f", "-o", "jsonpath={.data.password}"]);
      await helm.must(["install", "f", FLEET, ...WAIT]);
      expect(await kubectl.must(["logs", "deploy/f", "-c", "init"])).toBe("ca.crt\nnamespace\ntoken\n");
      expect(await kubectl.must(["get", "pvc,pdb,netpol,cj,ds", "-o", "name"])).toBe(
        [
          "persistentvolumeclaim/f",
          "poddisruptionbudget.policy/f",
          "networkpolicy.networking.k8s.io/f",
          "cronjob.batch/f",
          "daemonset.apps/f\n",
        ].join("\n"),
      );
      const account = `--as=system:serviceaccount:${namespace}:f`;
      expect(await kubectl.must(["auth", "can-i", "list", "pods", account])).toBe("yes\n");
      const before = await password();
      await helm.must(["upgrade", "f", FLEET, ...WAIT]);
      expect(await password()).toBe(before);
      expect(await helm.must(["uninstall", "f", ...WAIT])).toContain("[Secret] f\n");
      expect(await password()).toBe(before);
      expect(await kubectl.must(["get", "all,pvc,pdb,netpol", "-o", "name"])).toBe("");
      expect((await kubectl.run(["auth", "can-i", "list", "pods", account])).stdout).toBe("no\n");
    },
    TEST_MS,
  );

  test(
    "keeps releases apart, values when told so, and hands off what is not its own",
    async () => {
      const namespace = `apart-${version.replace(".", "-")}`;
      const kubectl = await cluster.open("35", namespace);
      const helm = await openHelm(cluster.home, { version, namespace });
      const fails = async (...args: readonly string[]) =>
        (await helm.run(args)).stderr.trim().split("\n").at(-1);
      const install = ["upgrade", "--install", "r", SHOP, "--no-hooks"];
      expect(await helm.must([...install, "--set", "greeting=first"])).toContain(
        "STATUS: deployed\nREVISION: 1",
      );
      await helm.must([...install, "--reuse-values", "--set", "replicas=1"]);
      expect(JSON.parse(await helm.must(["get", "values", "r", "-o", "json"]))).toEqual({
        greeting: "first",
        replicas: 1,
      });
      expect(await fails("install", "r", SHOP)).toMatch(/cannot re-?use a name that is still in use$/);
      expect(await fails("rollback", "r", "77")).toBe("Error: release has no 77 version");
      expect(await fails("upgrade", "none", SHOP)).toBe(
        'Error: UPGRADE FAILED: "none" has no deployed releases',
      );
      await kubectl.must(["create", "configmap", "mine-config"]);
      expect(await fails("install", "mine", SHOP, "--no-hooks")).toContain(
        `ConfigMap "mine-config" in namespace "${namespace}" exists and cannot be imported into the current release: invalid ownership metadata`,
      );
      await helm.must(["install", "mine", SHOP, "--no-hooks", "--take-ownership"]);
      expect((await helm.must(["list", "-q"])).trim().split("\n")).toEqual(["mine", "r"]);
      await helm.must(["uninstall", "r", "mine", "--keep-history"]);
      expect((await helm.must(["list", "-q", "--uninstalled"])).trim().split("\n")).toEqual(["mine", "r"]);
    },
    TEST_MS,
  );
});

test(
  "a release of helm 3 goes on under helm 4, back under helm 3, and ends under helm 4",
  async () => {
    const namespace = "moved";
    const kubectl = await cluster.open("35", namespace);
    const [three, four] = await Promise.all(
      VERSIONS.map((version) => openHelm(cluster.home, { version, namespace })),
    );
    if (three === undefined || four === undefined) throw new Error("there are two versions");
    const change = (greeting: string, ...options: readonly string[]) => [
      "upgrade",
      "--install",
      "r",
      SHOP,
      "--no-hooks",
      "--set",
      `greeting=${greeting}`,
      ...WAIT,
      ...options,
    ];
    const seen = async () =>
      await kubectl.must(["get", "configmap", "r-config", "-o", "jsonpath={.data.greeting}"]);
    await three.must(change("three"));
    await four.must(change("four"));
    expect(await seen()).toBe("four");
    await four.must(change("applied", "--server-side=true"));
    expect(await seen()).toBe("applied");
    await three.must(change("again"));
    expect(await seen()).toBe("again");
    await four.must(["rollback", "r", "1", ...WAIT]);
    expect(await seen()).toBe("three");
    await four.must(["uninstall", "r", ...WAIT]);
    expect(await kubectl.must(["get", "deploy,sts,svc,job", "-o", "name"])).toBe("");
  },
  TEST_MS,
);
