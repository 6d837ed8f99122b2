import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { resources } from "../../k8s/catalogue.ts";
import { runKubectl } from "../../testing/run-kubectl.ts";
import { discoveryDocument } from "./discovery.ts";

const V2 = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
const V2BETA1 = "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList";

function body(path: string, accept?: string): unknown {
  const document = discoveryDocument(path, accept);
  return document === undefined ? undefined : JSON.parse(document.body);
}

describe("aggregated discovery", () => {
  test.each([
    [`${V2},${V2BETA1},application/json`, "v2", V2],
    [`${V2BETA1},application/json`, "v2beta1", V2BETA1],
    [`application/json; g=apidiscovery.k8s.io; as=APIGroupDiscoveryList; v=v2`, "v2", V2],
  ])("answers %p in %s", (accept, version, contentType) => {
    for (const path of ["/api", "/apis"]) {
      expect(discoveryDocument(path, accept)?.contentType).toBe(contentType);
      expect(body(path, accept)).toMatchObject({
        kind: "APIGroupDiscoveryList",
        apiVersion: `apidiscovery.k8s.io/${version}`,
      });
    }
  });

  test("lists the core group at /api and all others at /apis", () => {
    const groups = (path: string) =>
      (body(path, V2) as { items: { metadata: { name?: string } }[] }).items.map(
        ({ metadata }) => metadata.name,
      );
    expect(groups("/api")).toEqual([undefined]);
    expect(groups("/apis")).toEqual([...new Set(resources.map(({ group }) => group))].slice(1));
  });

  test("describes a resource and its subresources", () => {
    expect(body("/apis", V2)).toMatchObject({
      items: expect.arrayContaining([
        {
          metadata: { name: "policy" },
          versions: [
            {
              version: "v1",
              freshness: "Current",
              resources: [
                {
                  resource: "poddisruptionbudgets",
                  responseKind: { group: "policy", version: "v1", kind: "PodDisruptionBudget" },
                  scope: "Namespaced",
                  singularResource: "poddisruptionbudget",
                  verbs: ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"],
                  shortNames: ["pdb"],
                  subresources: [
                    {
                      subresource: "status",
                      responseKind: { group: "policy", version: "v1", kind: "PodDisruptionBudget" },
                      verbs: ["get", "patch", "update"],
                    },
                  ],
                },
              ],
            },
          ],
        },
      ]),
    });
  });
});

describe("discovery one by one", () => {
  test("answers what plain JSON asks for", () => {
    expect(body("/api", "application/json")).toEqual({
      kind: "APIVersions",
      versions: ["v1"],
      serverAddressByClientCIDRs: [],
    });
    expect(body("/api")).toEqual(body("/api", "*/*"));
    expect(body("/apis")).toMatchObject({ kind: "APIGroupList", apiVersion: "v1" });
    expect(body("/apis/apps")).toEqual({
      kind: "APIGroup",
      apiVersion: "v1",
      name: "apps",
      versions: [{ groupVersion: "apps/v1", version: "v1" }],
      preferredVersion: { groupVersion: "apps/v1", version: "v1" },
    });
  });

  test("lists the resources of a group version", () => {
    expect(body("/apis/apps/v1")).toMatchObject({
      kind: "APIResourceList",
      groupVersion: "apps/v1",
      resources: expect.arrayContaining([
        {
          name: "deployments",
          singularName: "deployment",
          namespaced: true,
          kind: "Deployment",
          verbs: ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"],
          shortNames: ["deploy"],
          categories: ["all"],
        },
        {
          name: "deployments/scale",
          singularName: "",
          namespaced: true,
          group: "autoscaling",
          version: "v1",
          kind: "Scale",
          verbs: ["get", "patch", "update"],
        },
      ]),
    });
    expect(body("/api/v1", V2)).toMatchObject({ kind: "APIResourceList", groupVersion: "v1" });
  });

  test.each([
    "/",
    "",
    "/api/v2",
    "/api/v1/pods",
    "/apis/",
    "/apis/none",
    "/apis/apps/v2",
    "/apis/apps/v1/deployments",
    "/version",
    "//api",
  ])("has nothing at %p, or the same as without the slash", (path) => {
    expect(body(path)).toEqual(path === "/apis/" ? body("/apis") : undefined);
  });
});

describe("real kubectl", () => {
  const home = mkdtempSync(join(tmpdir(), "pillion-discovery-"));
  let aggregates = true;
  let paths: string[] = [];
  let server: Bun.Server<undefined>;

  beforeAll(() => {
    server = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch(request) {
        const { pathname } = new URL(request.url);
        paths.push(pathname);
        const accept = aggregates ? (request.headers.get("accept") ?? "") : "application/json";
        const document = discoveryDocument(pathname, accept);
        if (document === undefined) return new Response("not found", { status: 404 });
        return new Response(document.body, { headers: { "content-type": document.contentType } });
      },
    });
  });
  afterAll(async () => {
    await server.stop(true);
    rmSync(home, { recursive: true });
  });

  async function listResources(version: "29" | "31" | "33" | "35", ...flags: string[]): Promise<string[]> {
    paths = [];
    const target = { server: `http://127.0.0.1:${server.port}`, home: mkdtempSync(join(home, "cache-")) };
    const run = await runKubectl(version, ["api-resources", "--no-headers", ...flags], target);
    expect(run).toMatchObject({ code: 0, stderr: "" });
    return run.stdout.trimEnd().split("\n");
  }

  const everyName = resources.map(({ groupResource }) => groupResource).toSorted();

  test.each(["29", "31", "33", "35"] as const)(
    "1.%s lists every resource after two requests",
    async (version) => {
      aggregates = true;
      expect((await listResources(version, "--output=name")).toSorted()).toEqual(everyName);
      expect(paths.toSorted()).toEqual(["/api", "/apis"]);
      const wide = await listResources(version, "--output=wide");
      expect(wide.find((line) => line.startsWith("deployments"))?.split(/\s+/)).toEqual([
        "deployments",
        "deploy",
        "apps/v1",
        "true",
        "Deployment",
        "create,delete,deletecollection,get,list,patch,update,watch",
        "all",
      ]);
    },
  );

  test("1.35 lists every resource without aggregation", async () => {
    aggregates = false;
    expect((await listResources("35", "--output=name")).toSorted()).toEqual(everyName);
    expect(paths).toContain("/apis/apps/v1");
  });
});
