import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import type { Pod } from "../../../../generated/kubernetes.ts";
import { systemClock } from "../../../kernel/clock.ts";
import { kubectlPath, type KubectlVersion, runKubectl } from "../../../testing/kubectl.ts";
import { startDeploymentController } from "../../controllers/workloads/deployment-controller.ts";
import { startReplicaSetController } from "../../controllers/workloads/replica-set-controller.ts";
import { startTestApi, type TestApi } from "../api.test-support.ts";
import {
  configuration,
  patched,
  startWebhookServer,
  type WebhookServer,
} from "./webhook-server.test-support.ts";

const VERSIONS: readonly KubectlVersion[] = ["29", "35"];
const TEST_MS = 30_000;

describe.each(VERSIONS)("kubectl 1.%s and webhooks", (version) => {
  let api: TestApi;
  let hook: WebhookServer;
  let program: string;

  beforeEach(async () => {
    api = await startTestApi();
    hook = await startWebhookServer();
    program = await kubectlPath(version);
  });
  afterEach(async () => {
    expect(api.bugs).toEqual([]);
    await hook[Symbol.asyncDispose]();
    await api[Symbol.asyncDispose]();
  });

  async function kubectl(command: string, manifest: object | string = "") {
    const stdin = typeof manifest === "string" ? manifest : JSON.stringify(manifest);
    const { code, out, err } = await runKubectl(program, command.split(" "), { stdin, env: api.kubectlEnv });
    return { code, out: out.trim(), err: err.trim() };
  }

  const map = (data: object, name = "a") => ({
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name },
    data,
  });

  test(
    "configures, lists and is refused what the configuration lacks",
    async () => {
      const good = configuration("Mutating", hook);
      expect(await kubectl("create -f -", good)).toEqual({
        code: 0,
        out: "mutatingwebhookconfiguration.admissionregistration.k8s.io/test created",
        err: "",
      });
      expect((await kubectl("get mutatingwebhookconfigurations")).out).toMatch(
        /^NAME +WEBHOOKS +AGE\ntest +1 +\d+s$/,
      );
      const bad = configuration("Validating", hook, { name: "other", sideEffects: "Some" });
      expect((await kubectl("create -f -", bad)).err).toBe(
        'The ValidatingWebhookConfiguration "other" is invalid: webhooks[0].sideEffects: Unsupported value: "Some": supported values: "None", "NoneOnDryRun"',
      );
    },
    TEST_MS,
  );

  test(
    "is told why a webhook refuses, what it warns of, and what it has changed",
    async () => {
      hook.answer = ({ operation, object }) => {
        if (operation === "DELETE") {
          return { allowed: false, status: { code: 403, reason: "Forbidden", message: "it stays" } };
        }
        const data = (object?.["data"] ?? {}) as { readonly color?: string };
        if (data.color === "red") return { allowed: false, status: { message: "no red" } };
        return {
          ...patched([{ op: "add", path: "/data/seen", value: "yes" }]),
          warnings: ["colors are going out of fashion"],
        };
      };
      await kubectl("apply -f -", configuration("Mutating", hook));
      const denied = 'admission webhook "test.example.com" denied the request';
      expect((await kubectl("create -f -", map({ color: "red" }))).err).toBe(
        `Error from server: error when creating "STDIN": ${denied}: no red`,
      );
      expect(await kubectl("apply -f -", map({ color: "blue" }))).toEqual({
        code: 0,
        out: "configmap/a created",
        err: "Warning: colors are going out of fashion",
      });
      expect((await kubectl("get configmap a -o jsonpath={.data}")).out).toBe(
        '{"color":"blue","seen":"yes"}',
      );
      expect((await kubectl("apply -f -", map({ color: "red" }))).err).toContain(`${denied}: no red`);
      expect((await kubectl("apply --server-side --force-conflicts -f -", map({ color: "green" }))).out).toBe(
        "configmap/a serverside-applied",
      );
      expect((await kubectl("create --dry-run=server -o name -f -", map({ color: "blue" }, "b"))).out).toBe(
        "configmap/b",
      );
      expect((await kubectl("delete configmap a")).err).toBe(
        `Error from server (Forbidden): ${denied}: it stays`,
      );
      expect((await kubectl("get configmaps -o name")).out).toContain("configmap/a");
    },
    TEST_MS,
  );

  test(
    "waits for no webhook that is down, unless it has to",
    async () => {
      const { port } = hook;
      await hook[Symbol.asyncDispose]();
      await kubectl("apply -f -", configuration("Validating", hook, { failurePolicy: "Fail" }));
      expect((await kubectl("create -f -", map({}))).err).toBe(
        `Error from server (InternalError): error when creating "STDIN": Internal error occurred: failed calling webhook "test.example.com": failed to call webhook: Post "https://127.0.0.1:${port}/hook?timeout=10s": dial tcp 127.0.0.1:${port}: connect: connection refused`,
      );
      await kubectl("apply -f -", configuration("Validating", hook, { failurePolicy: "Ignore" }));
      expect((await kubectl("create -f -", map({}))).out).toBe("configmap/a created");
      expect((await kubectl("delete validatingwebhookconfiguration test")).code).toBe(0);
    },
    TEST_MS,
  );

  test(
    "gets a sidecar into every pod of a Deployment",
    async () => {
      const parts = { store: api.store, clock: systemClock, create: api.server.create };
      const stops = [startDeploymentController(parts), startReplicaSetController(parts)];
      try {
        hook.answer = ({ object }) => {
          const pod: Pod = object ?? {};
          const containers = pod.spec?.containers ?? [];
          const isThere = containers.some(({ name }) => name === "proxy");
          const proxy = { name: "proxy", image: "proxy", ports: [{ containerPort: 15_001 }] };
          return isThere
            ? { allowed: true }
            : patched([{ op: "add", path: "/spec/containers/-", value: proxy }]);
        };
        await kubectl("label namespace default injection=enabled");
        const rules = [{ operations: ["CREATE"], apiGroups: [""], apiVersions: ["v1"], resources: ["pods"] }];
        const namespaceSelector = { matchLabels: { injection: "enabled" } };
        await kubectl("apply -f -", configuration("Mutating", hook, { rules, namespaceSelector }));
        const seen = Promise.withResolvers<void>();
        const unwatch = api.store.watch("pods", {}, () => {
          if (api.store.list("pods").items.length === 3) seen.resolve();
        });
        await kubectl("create deployment web --image=web --replicas=3");
        await seen.promise;
        unwatch();
        const names = await kubectl("get pods -o jsonpath={.items[*].spec.containers[*].name}");
        expect(names.out).toBe("web proxy web proxy web proxy");
        const ports = await kubectl("get pods -o jsonpath={.items[*].spec.containers[1].ports[0].protocol}");
        expect(ports.out).toBe("TCP TCP TCP");
        expect(hook.requests.map(({ userInfo }) => userInfo.username)).toEqual(
          Array(3).fill("system:serviceaccount:kube-system:replicaset-controller"),
        );
        // The template is not a pod.
        expect((await kubectl("get deployment web -o jsonpath={..containers[*].name}")).out).toBe("web");
      } finally {
        for (const stop of stops) stop();
      }
    },
    TEST_MS,
  );

  test(
    "sees in events why a ReplicaSet has no pods",
    async () => {
      const parts = { store: api.store, clock: systemClock, create: api.server.create };
      const stops = [startDeploymentController(parts), startReplicaSetController(parts)];
      try {
        hook.answer = () => ({ allowed: false, status: { message: "no pods today" } });
        const rules = [{ operations: ["CREATE"], apiGroups: [""], apiVersions: ["v1"], resources: ["pods"] }];
        await kubectl("apply -f -", configuration("Validating", hook, { rules }));
        const told = Promise.withResolvers<string>();
        const unwatch = api.store.watch("events", {}, ({ object }) => {
          if (object["reason"] === "FailedCreate") told.resolve(String(object["message"]));
        });
        await kubectl("create deployment web --image=web");
        expect(await told.promise).toBe(
          'Error creating: admission webhook "test.example.com" denied the request: no pods today',
        );
        unwatch();
      } finally {
        for (const stop of stops) stop();
      }
    },
    TEST_MS,
  );
});
