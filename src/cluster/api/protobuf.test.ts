import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { array, assert, integer, property, uint8Array } from "fast-check";
import { apiVersionOf, resourceOfKind, resources } from "../../k8s/catalogue.ts";
import { StatusError } from "../../k8s/status-error.ts";
import { decodeObject, type ExpectedKind } from "../../k8s/strict-decode.ts";
import type { KubectlVersion } from "../../testing/kubectl.ts";
import { runKubectl, withFlags } from "../../testing/run-kubectl.ts";
import { discoveryDocument } from "./discovery.ts";
import { decodeProtobuf, PROTOBUF_MEDIA_TYPE } from "./protobuf.ts";

const POD: ExpectedKind = { group: "", version: "v1", kind: "Pod" };

interface Sent {
  readonly contentType: string;
  readonly body: Uint8Array;
}

/** What kubectl sent last. */
let sent: Sent | undefined;
let server: Bun.Server<undefined>;
const home = mkdtempSync(join(tmpdir(), "pillion-protobuf-"));

beforeAll(() => {
  server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request) {
      const { pathname } = new URL(request.url);
      if (request.method !== "GET") {
        const contentType = request.headers.get("content-type") ?? "";
        sent = { contentType, body: new Uint8Array(await request.arrayBuffer()) };
        return Response.json({ kind: "Status", apiVersion: "v1", status: "Success" }, { status: 201 });
      }
      const document = discoveryDocument(pathname, request.headers.get("accept") ?? "");
      if (document !== undefined) {
        return new Response(document.body, { headers: { "content-type": document.contentType } });
      }
      return Response.json(pathname.endsWith("/pods/web") ? RICH_POD : {});
    },
  });
});
afterAll(async () => {
  await server.stop(true);
  rmSync(home, { recursive: true });
});

async function kubectl(version: KubectlVersion, args: readonly string[]): Promise<string> {
  const { stdout } = await runKubectl(version, args, { server: `http://127.0.0.1:${server.port}`, home });
  return stdout;
}

async function capture(version: KubectlVersion, args: readonly string[]): Promise<Sent> {
  sent = undefined;
  await kubectl(version, args);
  if (sent === undefined) throw new Error(`kubectl ${args.join(" ")} sent nothing`);
  return sent;
}

const COMMANDS: readonly string[] = [
  "create namespace shop",
  "create deployment web --image=nginx --replicas=0 --port=80",
  "create configmap settings --from-literal=a=1 --from-literal=__proto__=2",
  "create secret generic token --from-literal=password=hunter2 --type=example.org/token",
  "create secret docker-registry pull --docker-username=u --docker-password=p --docker-server=r",
  "create job once --image=busybox -- date",
  "create cronjob nightly --image=busybox --schedule=@daily -- date",
  "create service clusterip web --tcp=80:http",
  "create service nodeport web --tcp=80:8080 --node-port=30080",
  "create service externalname db --external-name=db.example.org",
  "create role reader --verb=get,list --resource=pods",
  "create rolebinding reader --role=reader --serviceaccount=shop:web --user=ann",
  "create clusterrole reader --verb=get --non-resource-url=/metrics",
  "create clusterrolebinding reader --clusterrole=reader --group=g",
  "create ingress web --rule=shop.example.org/cart*=cart:8080,tls=cert --default-backend=web:http",
  "create quota small --hard=cpu=1500m,memory=2Gi,pods=0 --scopes=BestEffort",
  "create serviceaccount web",
  "create poddisruptionbudget web --selector=app=web --min-available=50%",
  "create priorityclass high --value=1000 --global-default=false --preemption-policy=Never",
];

/** One of every kind of value that protobuf writes differently from JSON. */
const RICH_POD = {
  apiVersion: "v1",
  kind: "Pod",
  metadata: {
    name: "web",
    namespace: "default",
    labels: { app: "web", empty: "" },
    annotations: { "example.org/text": 'with "quotes", ünïcode and\nlines' },
    finalizers: ["example.org/hold"],
  },
  spec: {
    activeDeadlineSeconds: 4_000_000_000,
    affinity: {
      podAntiAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: [
          { labelSelector: { matchExpressions: [{ key: "app", operator: "Exists" }] }, topologyKey: "zone" },
        ],
      },
    },
    containers: [
      {
        name: "app",
        image: "app:1",
        command: ["sh", "-c", ""],
        env: [
          { name: "EMPTY" },
          { name: "IP", valueFrom: { fieldRef: { fieldPath: "status.podIP" } } },
          { name: "KEY", valueFrom: { secretKeyRef: { name: "token", key: "password", optional: false } } },
          { name: "CPU", valueFrom: { resourceFieldRef: { resource: "limits.cpu", divisor: "1m" } } },
        ],
        envFrom: [
          { configMapRef: { name: "settings", optional: true } },
          { prefix: "P_", secretRef: { name: "token" } },
        ],
        lifecycle: { preStop: { sleep: { seconds: 0 } } },
        livenessProbe: {
          httpGet: { path: "/", port: "http", httpHeaders: [{ name: "A", value: "b" }] },
          periodSeconds: 10,
        },
        readinessProbe: { tcpSocket: { port: 8080 }, initialDelaySeconds: 1 },
        startupProbe: { exec: { command: ["true"] }, terminationGracePeriodSeconds: 3 },
        ports: [{ containerPort: 8080, name: "http", protocol: "TCP" }],
        resources: { limits: { cpu: "500m", memory: "64Mi" }, requests: { cpu: "0" } },
        securityContext: {
          runAsUser: 0,
          runAsNonRoot: false,
          capabilities: { drop: ["ALL"] },
          privileged: false,
        },
        volumeMounts: [{ name: "cache", mountPath: "/cache", subPathExpr: "$(IP)", readOnly: true }],
        volumeDevices: [{ name: "disk", devicePath: "/dev/x" }],
      },
    ],
    initContainers: [{ name: "side", image: "side", restartPolicy: "Always", resources: {} }],
    hostAliases: [{ ip: "127.0.0.1", hostnames: ["a", "b"] }],
    nodeSelector: {},
    priority: -5,
    securityContext: {
      fsGroup: 0,
      supplementalGroups: [0, 5_000_000_000],
      sysctls: [{ name: "a", value: "b" }],
    },
    shareProcessNamespace: true,
    terminationGracePeriodSeconds: 0,
    tolerations: [{ key: "k", operator: "Exists", tolerationSeconds: 0 }],
    topologySpreadConstraints: [{ maxSkew: 1, topologyKey: "zone", whenUnsatisfiable: "DoNotSchedule" }],
    volumes: [
      { name: "cache", emptyDir: {} },
      { name: "memory", emptyDir: { medium: "Memory", sizeLimit: "1Gi" } },
      {
        name: "settings",
        configMap: { name: "settings", defaultMode: 0o644, items: [{ key: "a", path: "b", mode: 0 }] },
      },
      {
        name: "all",
        projected: {
          sources: [
            { serviceAccountToken: { path: "token", expirationSeconds: 3607 } },
            { downwardAPI: { items: [{ path: "labels", fieldRef: { fieldPath: "metadata.labels" } }] } },
          ],
        },
      },
      {
        name: "claim",
        ephemeral: {
          volumeClaimTemplate: {
            spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1.5Gi" } } },
          },
        },
      },
    ],
  },
} as const;

function kindOf({ apiVersion = "", kind = "" }: { apiVersion?: string; kind?: string }): ExpectedKind {
  const info = resourceOfKind(apiVersion, kind);
  if (info === undefined) throw new Error(`No resource has the kind ${apiVersion} ${kind}`);
  return info;
}

/** Go prints null where we print nothing. */
function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls);
  if (typeof value !== "object" || value === null) return value;
  const kept = Object.entries(value).filter(([, inner]) => inner !== null);
  return Object.fromEntries(kept.map(([name, inner]) => [name, withoutNulls(inner)]));
}

describe.each(["33", "35"] as const)("decodeProtobuf() of what kubectl 1.%s sends", (version) => {
  test.each(COMMANDS)("%s: the object that the same kubectl prints as JSON", async (command) => {
    const args = command.split(" ");
    const { body, contentType } = await capture(version, args);
    const print = withFlags(args, ["--dry-run=client", "--output=json"]);
    const printed = JSON.parse(await kubectl(version, print));
    const expected = kindOf(printed);
    expect(contentType).toBe(PROTOBUF_MEDIA_TYPE);
    const decoded = decodeObject(decodeProtobuf(body, expected), expected);
    expect(decoded.strictErrors).toEqual([]);
    expect(decoded.object as unknown).toEqual(withoutNulls(printed));
    expect(decoded).toEqual(decodeObject(printed, expected));
  });

  test("debug --copy-to: a pod with every kind of value", async () => {
    const args =
      "debug web --copy-to=copy --image=busybox --container=debugger --profile=legacy --attach=false";
    const { body, contentType } = await capture(version, args.split(" "));
    expect(contentType).toBe(PROTOBUF_MEDIA_TYPE);
    const { object } = decodeObject(decodeProtobuf(body, POD), POD);
    const { annotations } = RICH_POD.metadata;
    const want = decodeObject(
      { ...RICH_POD, metadata: { name: "copy", namespace: "default", annotations } },
      POD,
    ).object;
    const spec = object["spec"] as { containers: readonly { name: string }[] };
    expect({
      ...object,
      spec: { ...spec, containers: spec.containers.filter(({ name }) => name !== "debugger") },
    } as unknown).toEqual(want);
  });
});

describe("decodeProtobuf()", () => {
  const text = (value: string, number: number) => field(number, Buffer.from(value));
  const field = (number: number, bytes: Uint8Array) =>
    Buffer.from([...varint((number << 3) | 2), ...varint(bytes.length), ...bytes]);
  const envelope = (kind: string, raw: Uint8Array, apiVersion = "v1") =>
    Buffer.concat([
      Buffer.from("k8s\0"),
      field(1, Buffer.concat([text(apiVersion, 1), text(kind, 2)])),
      field(2, raw),
    ]);

  function varint(value: number): number[] {
    return value < 128 ? [value] : [(value & 127) | 128, ...varint(value >>> 7)];
  }

  function failure(body: Uint8Array, expected = POD): string {
    try {
      decodeObject(decodeProtobuf(body, expected), expected);
    } catch (error) {
      if (error instanceof StatusError) return `${error.reason}: ${error.message}`;
      throw error;
    }
    return "no error";
  }

  test("passes over fields it does not know", () => {
    const unknown = Buffer.from([
      0xf8, 0x07, 1, 0xfa, 0x07, 2, 9, 9, 0xfd, 0x07, 1, 2, 3, 4, 0xf9, 0x07, 1, 2, 3, 4, 5, 6, 7, 8,
    ]);
    const metadata = field(1, Buffer.concat([unknown, text("web", 1), unknown]));
    expect(decodeProtobuf(envelope("Pod", Buffer.concat([metadata, unknown])), POD)).toEqual({
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "web" },
    });
  });

  test("reads packed lists and maps to lists", () => {
    const groups = field(4, Buffer.from([0, 5, 0x80, 1]));
    const spec = field(2, field(14, groups));
    expect(decodeProtobuf(envelope("Pod", spec), POD)).toMatchObject({
      spec: { securityContext: { supplementalGroups: [0, 5, 128] } },
    });
    const extra = field(
      5,
      Buffer.concat([text("scopes", 1), field(2, Buffer.concat([text("a", 1), text("b", 1)]))]),
    );
    const review = { group: "authorization.k8s.io", version: "v1", kind: "SubjectAccessReview" };
    const body = envelope("SubjectAccessReview", field(2, extra), "authorization.k8s.io/v1");
    expect(decodeProtobuf(body, review)).toMatchObject({ spec: { extra: { scopes: ["a", "b"] } } });
  });

  test("reads times, raw JSON and negative numbers", () => {
    const time = field(1, field(8, Buffer.from([8, ...varint(1_000_000_000)])));
    const priority = Buffer.from([0xc8, 0x01, 0xfb, ...Array.from({ length: 8 }, () => 0xff), 0x01]);
    expect(decodeProtobuf(envelope("Pod", Buffer.concat([time, field(2, priority)])), POD)).toMatchObject({
      metadata: { creationTimestamp: "2001-09-09T01:46:40Z" },
      spec: { priority: -5 },
    });
    const revision = { group: "apps", version: "v1", kind: "ControllerRevision" };
    const data = field(2, text('{"spec":[1,null]}', 1));
    expect(decodeProtobuf(envelope("ControllerRevision", data, "apps/v1"), revision)).toMatchObject({
      data: { spec: [1, null] },
    });
  });

  test("takes DeleteOptions in the version of any group", () => {
    const expected = { group: "", version: "v1", kind: "DeleteOptions" };
    const body = envelope("DeleteOptions", Buffer.from([8, 0]), "apps/v1");
    const { object } = decodeObject(decodeProtobuf(body, expected), expected);
    expect(object).toMatchObject({ kind: "DeleteOptions", gracePeriodSeconds: 0 });
  });

  test.each([
    ["nothing", Buffer.alloc(0), "expected prefix [107 56 115 0] (<empty>)"],
    ["JSON", Buffer.from('{"kind":"Pod"}'), 'expected prefix [107 56 115 0] ({"kind":"Pod"})'],
    ["a length beyond the end", envelope("Pod", Buffer.from([0x0a, 0x7f, 1])), "unexpected EOF"],
    [
      "a length of 2^63",
      envelope("Pod", Buffer.from([0x0a, ...Array.from({ length: 8 }, () => 0xff), 0x7f])),
      "unexpected EOF",
    ],
    ["a varint without an end", envelope("Pod", Buffer.alloc(20, 0xff)), "integer overflow"],
    ["a group", envelope("Pod", Buffer.from([0x7b])), "illegal wireType 3"],
    ["field zero", envelope("Pod", Buffer.from([0x02, 0])), "illegal tag 0"],
    [
      "a number where a message is due",
      envelope("Pod", Buffer.from([0x08, 1])),
      "wrong wireType = 0 for field metadata",
    ],
    [
      "a time beyond all years",
      envelope("Pod", field(1, field(8, Buffer.from([8, ...Array.from({ length: 8 }, () => 0xff), 0x7f])))),
      "year outside of range",
    ],
    [
      "another kind",
      envelope("Secret", Buffer.alloc(0)),
      "converting (v1.Secret) to (core.Pod): unknown conversion",
    ],
    [
      "no kind at all",
      envelope("Nothing", Buffer.alloc(0)),
      'no kind "Nothing" is registered for version "v1"',
    ],
  ])("refuses %s", (_, body, message) => {
    expect(failure(body)).toStartWith("BadRequest: ");
    expect(failure(body)).toContain(message);
  });

  test("bounds the nesting", () => {
    let schema: Buffer = Buffer.alloc(0);
    for (let depth = 0; depth < 600; depth += 1) schema = field(28, schema); // JSONSchemaProps.not
    const crd = { group: "apiextensions.k8s.io", version: "v1", kind: "CustomResourceDefinition" };
    const version = field(7, field(4, field(1, schema)));
    const body = envelope("CustomResourceDefinition", field(2, version), "apiextensions.k8s.io/v1");
    expect(failure(body, crd)).toContain("exceeded max depth");
  });

  test("refuses kinds whose field numbers are not known", () => {
    const expected = { group: "apiregistration.k8s.io", version: "v1", kind: "APIService" };
    const body = envelope("APIService", Buffer.alloc(0), "apiregistration.k8s.io/v1");
    expect(failure(body, expected)).toStartWith("UnsupportedMediaType: ");
  });

  test("gives an object or a StatusError, whatever the bytes", () => {
    const kinds = resources.filter(({ stored }) => stored);
    const garbage = array(uint8Array({ maxLength: 40 }), { maxLength: 4 });
    assert(
      property(
        integer({ min: 0, max: kinds.length - 1 }),
        garbage,
        integer({ min: 1, max: 40 }),
        (index, parts, number) => {
          const info = kinds[index];
          if (info === undefined) return;
          const raw = Buffer.concat(parts.map((part) => field(number % 16, part)));
          failure(envelope(info.kind, raw, apiVersionOf(info)), info);
          failure(Buffer.concat([Buffer.from("k8s\0"), raw]), info);
        },
      ),
      { numRuns: 500 },
    );
  });

  test("gives an object or a StatusError for every cut and every flipped byte of a real body", async () => {
    const { body } = await capture("35", (COMMANDS[1] ?? "").split(" "));
    const deployment = { group: "apps", version: "v1", kind: "Deployment" };
    for (let at = 0; at < body.length; at += 1) {
      failure(body.subarray(0, at), deployment);
      for (const flip of [1, 0x80, 0xff]) {
        failure(body.with(at, (body[at] ?? 0) ^ flip), deployment);
      }
    }
  });
});
