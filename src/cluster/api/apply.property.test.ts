import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { ManualClock } from "../../testing/manual-clock.ts";
import { startTestApi, type TestApi } from "./api.test-support.ts";

const APPLY = { "Content-Type": "application/apply-patch+yaml" };

interface Kind {
  readonly path: string;
  readonly apiVersion: string;
  readonly kind: string;
}

interface Manifest extends Kind {
  readonly metadata: object;
  readonly fields: object;
}

const DEPLOYMENT: Kind = {
  path: "/apis/apps/v1/namespaces/default/deployments",
  apiVersion: "apps/v1",
  kind: "Deployment",
};
const SERVICE: Kind = { path: "/api/v1/namespaces/default/services", apiVersion: "v1", kind: "Service" };
const SECRET: Kind = { path: "/api/v1/namespaces/default/secrets", apiVersion: "v1", kind: "Secret" };

/** Every field may be left out; some say nothing, some not as they are stored. */
const optional = (fields: Readonly<Record<string, fc.Arbitrary<unknown>>>) =>
  fc.record(fields, { requiredKeys: [] });

const labels = fc.constantFrom({}, { a: "1" }, { a: "1", b: "" }, null);
const metadata = optional({
  labels,
  annotations: labels,
  finalizers: fc.constantFrom([], ["a/b"], ["c/d", "a/b"]),
});
const quantity = fc.constantFrom("1", "1000m", "0.5", 1, "1024Mi");
const container = (name: string) =>
  optional({
    image: fc.constant("i"),
    args: fc.constantFrom([], ["x"]),
    env: fc.constantFrom([], [{ name: "A", value: "" }], [{ name: "B", value: "1" }, { name: "A" }]),
    ports: fc.constantFrom(
      [],
      [{ containerPort: 80 }],
      [{ containerPort: 53, protocol: "UDP", name: "dns" }],
    ),
    resources: fc.oneof(fc.constant({}), optional({ limits: optional({ cpu: quantity, memory: quantity }) })),
    securityContext: fc.constantFrom({}, { privileged: false }, { runAsUser: 0 }),
    volumeMounts: fc.constantFrom([], [{ name: "v", mountPath: "/v" }]),
    livenessProbe: fc.constantFrom(
      { exec: { command: ["x"] } },
      { tcpSocket: { port: 80 }, periodSeconds: 1 },
    ),
  }).map((rest) => ({ image: "i", ...rest, name }));
const podSpec = optional({
  tolerations: fc.constantFrom([], [{ operator: "Exists" }]),
  nodeSelector: fc.constantFrom({}, { disk: "ssd" }),
  affinity: fc.constantFrom({}, { nodeAffinity: {} }),
  securityContext: fc.constantFrom({}, { fsGroup: 0 }),
  hostNetwork: fc.boolean(),
  terminationGracePeriodSeconds: fc.constantFrom(0, 30),
});
const deployment = fc
  .record({
    containers: fc.uniqueArray(fc.constantFrom("a", "b", "c").chain(container), {
      minLength: 1,
      selector: ({ name }) => name,
    }),
    pod: podSpec,
    rest: optional({
      replicas: fc.constantFrom(0, 1, 2),
      paused: fc.boolean(),
      strategy: fc.constantFrom({}, { type: "RollingUpdate" }, { rollingUpdate: { maxSurge: 0 } }),
      minReadySeconds: fc.constantFrom(0, 1),
      revisionHistoryLimit: fc.constantFrom(0, 10),
    }),
  })
  .map(({ containers, pod, rest }) => ({
    spec: {
      ...rest,
      selector: { matchLabels: { app: "x" } },
      template: {
        metadata: { labels: { app: "x" } },
        spec: { ...pod, containers, volumes: [{ name: "v", emptyDir: {} }] },
      },
    },
  }));
const service = optional({
  type: fc.constantFrom("ClusterIP", "NodePort", "LoadBalancer"),
  selector: fc.constantFrom({}, { app: "x" }),
  sessionAffinity: fc.constantFrom("None", "ClientIP"),
  externalIPs: fc.constant([]),
}).map((spec) => ({ spec: { ...spec, ports: [{ port: 80 }, { port: 80, protocol: "UDP" }].map(named) } }));
const secret = optional({
  stringData: fc.constantFrom({}, { a: "x" }),
  data: fc.constantFrom({}, { b: "eA==" }),
  immutable: fc.constant(false),
});

function named(port: object, index: number): object {
  return { ...port, name: `p${index}` };
}

const manifest: fc.Arbitrary<Manifest> = fc
  .tuple(
    metadata,
    fc.oneof(
      deployment.map((fields) => ({ ...DEPLOYMENT, fields })),
      service.map((fields) => ({ ...SERVICE, fields })),
      secret.map((fields) => ({ ...SECRET, fields })),
    ),
  )
  .map(([own, rest]) => ({ ...rest, metadata: own }));

interface Applied {
  readonly code: number;
  readonly body: { readonly message?: string; readonly metadata?: object };
}

async function apply(api: TestApi, name: string, { path, fields, ...kind }: Manifest): Promise<Applied> {
  const body = {
    apiVersion: kind.apiVersion,
    kind: kind.kind,
    ...fields,
    metadata: { ...kind.metadata, name },
  };
  const query = "fieldManager=me&force=true&fieldValidation=Strict";
  return await api.call(`${path}/${name}?${query}`, { method: "PATCH", headers: APPLY, body });
}

test("any manifest that is applied twice is written once, whatever was applied before", async () => {
  // Nothing is the same because no time has passed: ownership tells its time in seconds.
  const clock = new ManualClock();
  await using api = await startTestApi({ clock });
  let count = 0;
  await fc.assert(
    fc.asyncProperty(manifest, manifest, async (first, second) => {
      const name = `x${(count += 1)}`;
      expect((await apply(api, name, first)).body.message).toBeUndefined();
      const next = { ...second, ...(first.kind === second.kind ? {} : first) };
      const once = await apply(api, name, next);
      expect(once.body.message).toBeUndefined();
      clock.advance(2000);
      const twice = await apply(api, name, next);
      expect([twice.code, twice.body]).toEqual([200, once.body]);
    }),
    { numRuns: 60 },
  );
}, 60_000);
