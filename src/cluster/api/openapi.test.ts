import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { resources } from "../../k8s/catalogue.ts";
import type { KubectlVersion } from "../../testing/kubectl.ts";
import { type KubectlRun, runKubectl } from "../../testing/run-kubectl.ts";
import { discoveryDocument } from "./discovery.ts";
import { openApiDetail, openApiDocument } from "./openapi.ts";

const APPLY = { "kubectl-command": "kubectl apply", "user-agent": "kubectl/v1.35.2" };
const EXPLAIN = { "kubectl-command": "kubectl explain", "user-agent": "kubectl/v1.35.2" };

function get(path: string, headers: Record<string, string> = {}) {
  const url = new URL(path, "http://server");
  return openApiDocument({ path: url.pathname, query: url.searchParams, headers }, 0);
}

function json(path: string, headers?: Record<string, string>): Record<string, unknown> {
  return JSON.parse(get(path, headers)?.body ?? "null");
}

function urls(headers: Record<string, string>): Map<string, string> {
  const { paths } = json("/openapi/v3", headers) as { paths: Record<string, { serverRelativeURL: string }> };
  return new Map(Object.entries(paths).map(([name, { serverRelativeURL }]) => [name, serverRelativeURL]));
}

describe("openApiDetail()", () => {
  test.each([
    [EXPLAIN, "full"],
    [APPLY, "sparse"],
    [{ "kubectl-command": "kubectl create namespace" }, "sparse"],
    [{ "user-agent": "kubectl/v1.35.2" }, "full"],
    [{ "user-agent": "Helm/4.1.4" }, "sparse"],
    [{ "user-agent": "node" }, "full"],
    [{}, "full"],
  ] as const)("%j: %s", (headers, detail) => {
    expect(openApiDetail(headers)).toBe(detail);
  });
});

describe("openApiDocument()", () => {
  test("indexes every group version, under another hash for either detail", () => {
    const sparse = urls(APPLY);
    const full = urls(EXPLAIN);
    const names = new Set(
      resources.map(({ group, version }) => (group ? `apis/${group}/${version}` : `api/${version}`)),
    );
    expect(new Set(sparse.keys())).toEqual(names);
    expect([...full.keys()]).toEqual([...sparse.keys()]);
    expect(full.get("api/v1")).not.toBe(sparse.get("api/v1"));
  });

  test("gives the detail that the hash stands for, whoever asks", () => {
    const sparse = get(urls(APPLY).get("api/v1") ?? "", EXPLAIN);
    expect(sparse?.body).toBe(get("/openapi/v3/api/v1", APPLY)?.body ?? "");
    const full = get(urls(EXPLAIN).get("api/v1") ?? "", APPLY);
    expect(full?.body).toBe(get("/openapi/v3/api/v1", EXPLAIN)?.body ?? "");
    expect(full?.headers).toMatchObject({
      "cache-control": "public, immutable",
      expires: "Thu, 01 Jan 1970 01:00:00 GMT",
    });
    expect(get("/openapi/v3/api/v1?hash=stale")?.headers["cache-control"]).toBe("no-cache, private");
  });

  test("answers 304 to who has it already", () => {
    for (const path of ["/openapi/v3", "/openapi/v3/apis/apps/v1"]) {
      const etag = get(path, APPLY)?.headers["etag"] ?? "";
      expect(get(path, { ...APPLY, "if-none-match": etag })).toMatchObject({ code: 304, body: "" });
      expect(get(path, { ...APPLY, "if-none-match": `"other", W/${etag}` })).toMatchObject({ code: 304 });
      expect(get(path, { ...EXPLAIN, "if-none-match": etag })).toMatchObject({ code: 200 });
    }
  });

  test("says in few bytes that writes know fieldValidation", () => {
    const fieldValidation = {
      name: "fieldValidation",
      in: "query",
      schema: { type: "string", uniqueItems: true },
    };
    expect(json("/openapi/v3/apis/coordination.k8s.io/v1", APPLY)).toEqual({
      openapi: "3.0.0",
      info: { title: "Kubernetes", version: "v1.36.0" },
      paths: Object.fromEntries(
        ["post", "patch"].map((action) => [
          `/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases${action === "post" ? "" : "/{name}"}`,
          {
            [action]: {
              "x-kubernetes-action": action,
              "x-kubernetes-group-version-kind": {
                group: "coordination.k8s.io",
                version: "v1",
                kind: "Lease",
              },
              parameters: [fieldValidation],
              responses: { "200": { description: "OK" } },
            },
          },
        ]),
      ),
    });
    expect(get("/openapi/v3/api/v1", APPLY)?.body.length).toBeLessThan(12_000);
  });

  test("describes types in full, with descriptions and merge keys", () => {
    const { components } = json("/openapi/v3/api/v1") as { components: { schemas: Record<string, object> } };
    const { schemas } = components;
    expect(schemas["io.k8s.api.core.v1.ContainerPort"]).toMatchObject({
      type: "object",
      required: ["containerPort"],
      properties: {
        containerPort: {
          description: expect.stringContaining("pod's IP address"),
          type: "integer",
          format: "int32",
        },
        protocol: { description: expect.stringContaining('Defaults to "TCP"'), type: "string" },
      },
    });
    expect(schemas["io.k8s.api.core.v1.Pod"]).toMatchObject({
      "x-kubernetes-group-version-kind": [{ group: "", version: "v1", kind: "Pod" }],
    });
    expect(schemas["io.k8s.api.core.v1.PodSpec"]).toMatchObject({
      properties: {
        containers: {
          type: "array",
          items: { allOf: [{ $ref: "#/components/schemas/io.k8s.api.core.v1.Container" }] },
          "x-kubernetes-patch-strategy": "merge",
          "x-kubernetes-patch-merge-key": "name",
        },
        nodeSelector: { type: "object", additionalProperties: { type: "string" } },
        overhead: {
          additionalProperties: {
            allOf: [{ $ref: "#/components/schemas/io.k8s.apimachinery.pkg.api.resource.Quantity" }],
          },
        },
      },
    });
    expect(schemas["io.k8s.api.core.v1.EventList"]).toMatchObject({ required: ["items"] });
    expect(schemas["io.k8s.api.core.v1.Event"]).toMatchObject({
      properties: { involvedObject: { description: expect.any(String) } },
    });
  });

  test("refers to nothing that is missing and describes almost everything", () => {
    for (const path of urls(EXPLAIN).values()) {
      const body = get(path)?.body ?? "";
      const { components } = JSON.parse(body) as {
        components: { schemas: Record<string, { properties?: object }> };
      };
      const refs = new Set(
        [...body.matchAll(/"#\/components\/schemas\/([^"]+)"/g)].map(([, name]) => name ?? ""),
      );
      expect([...refs].filter((name) => !Object.hasOwn(components.schemas, name))).toEqual([]);
      const properties = Object.entries(components.schemas)
        .filter(([name]) => !/List$|JSONSchemaProps$/.test(name))
        .flatMap(
          ([, schema]) =>
            Object.values(schema.properties ?? {}) as { description?: string; allOf?: unknown }[],
        );
      const silent = properties.filter(
        ({ description, allOf }) => description === undefined && allOf === undefined,
      );
      expect(silent.length).toBeLessThan(properties.length / 50);
    }
  });

  test.each([
    "/openapi",
    "/openapi/v2",
    "/openapi/v3/",
    "/openapi/v3/api",
    "/openapi/v3/api/v2",
    "/openapi/v3/apis/none/v1",
    "/api",
  ])("has nothing at %p, or the same as without the slash", (path) => {
    expect(get(path)?.body).toBe(path === "/openapi/v3/" ? get("/openapi/v3")?.body : undefined);
  });
});

describe.each(["29", "31", "33", "35"] as const)("real kubectl 1.%s", (version: KubectlVersion) => {
  const home = mkdtempSync(join(tmpdir(), "pillion-openapi-"));
  let requests: string[] = [];
  let server: Bun.Server<undefined>;

  beforeAll(() => {
    server = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      async fetch(request) {
        const { pathname: path, searchParams: query } = new URL(request.url);
        const headers = Object.fromEntries(request.headers);
        requests.push(`${request.method} ${path}`);
        const document =
          discoveryDocument(path, headers["accept"]) ?? openApiDocument({ path, query, headers });
        if (document !== undefined) {
          const code = "code" in document ? Number(document.code) : 200;
          const all = { ...document.headers, "content-type": document.contentType };
          return new Response(code === 304 ? null : document.body, { status: code, headers: all });
        }
        if (request.method === "POST" && query.get("fieldValidation") === "Strict") {
          return Response.json(await request.json(), { status: 201 });
        }
        const status = { kind: "Status", apiVersion: "v1", status: "Failure", reason: "NotFound", code: 404 };
        return Response.json({ ...status, message: "not found" }, { status: 404 });
      },
    });
  });
  afterAll(async () => {
    await server.stop(true);
    rmSync(home, { recursive: true });
  });

  async function kubectl(...args: string[]): Promise<KubectlRun> {
    requests = [];
    return await runKubectl(version, args, { server: `http://127.0.0.1:${server.port}`, home });
  }

  test("explain pod.spec.containers", async () => {
    const { code, stdout, stderr } = await kubectl("explain", "pod.spec.containers");
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const text = stdout.replaceAll(/\s+/g, " ");
    expect(text).toStartWith(
      "KIND: Pod VERSION: v1 FIELD: containers <[]Container> DESCRIPTION: List of containers",
    );
    expect(text).toContain(" imagePullPolicy <string> ");
    expect(text).toContain(" livenessProbe <Probe> ");
    expect(text).toContain(" name <string> -required- Name of the container specified as a DNS_LABEL.");
    expect(text).not.toContain("<no description>");
  });

  test("explain --recursive", async () => {
    const { code, stdout } = await kubectl("explain", "deployments", "--recursive");
    expect(code).toBe(0);
    expect(stdout).toMatch(/^GROUP: +apps\nKIND: +Deployment\nVERSION: +v1\n/);
    const lines = new Set(stdout.split("\n").map((line) => line.trim()));
    expect([...lines]).toEqual(
      expect.arrayContaining([
        "template\t<PodTemplateSpec> -required-",
        "containers\t<[]Container> -required-",
        "limits\t<map[string]Quantity>",
        "port\t<IntOrString> -required-",
      ]),
    );
  });

  test.each([
    "svc.spec.ports.targetPort",
    "cj.spec.jobTemplate",
    "crd.spec",
    "ing",
    "role.rules",
    "apiservices.spec",
    "events",
  ])("explain %s", async (what) => {
    expect(await kubectl("explain", what)).toMatchObject({ code: 0, stderr: "" });
  });

  test("apply leaves validation to the server", async () => {
    const manifest = join(home, "pod.yaml");
    writeFileSync(
      manifest,
      "apiVersion: v1\nkind: Pod\nmetadata: {name: web, namespace: default}\nspec: {bogus: 1}\n",
    );
    expect(await kubectl("apply", "-f", manifest)).toEqual({
      code: 0,
      stdout: "pod/web created\n",
      stderr: "",
    });
    expect(requests).toContain("POST /api/v1/namespaces/default/pods");
    expect(requests).not.toContain("GET /openapi/v2");
  });

  test("apply knows fieldValidation from a full document too", async () => {
    const lease = join(home, "lease.yaml");
    writeFileSync(
      lease,
      "apiVersion: coordination.k8s.io/v1\nkind: Lease\nmetadata: {name: web, namespace: default}\n",
    );
    const run = await runKubectl(version, ["create", "-f", lease], {
      server: `http://127.0.0.1:${server.port}`,
      home,
      env: { KUBECTL_COMMAND_HEADERS: "false" },
    });
    expect(run).toEqual({ code: 0, stdout: "lease.coordination.k8s.io/web created\n", stderr: "" });
  });
});
