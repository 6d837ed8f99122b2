/** The classic use of a webhook, with everything real: one that runs in the cluster gives every pod of a namespace a sidecar. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { createAuthority, createServerCertificate } from "../../src/cluster/api/make-certificates.ts";
import { PillionHome } from "../../src/testing/pillion.ts";
import { type KubectlSession, openKubectl } from "./kubectl-session.ts";
import { said, TEST_MS, workload } from "./workload-cluster.ts";

const DAY_MS = 86_400_000;
const home = new PillionHome();
let mesh: KubectlSession;
let shop: KubectlSession;
/** Base64. */
let caBundle: string;

beforeAll(async () => {
  const copy = {
    [process.execPath]: "/usr/local/bin/bun",
    [join(import.meta.dirname, "injector-webhook.mjs")]: "/opt/injector.mjs",
  };
  const images = { injector: { host: { copy } }, busybox: "host" };
  writeFileSync(join(home.path, "images.yaml"), JSON.stringify({ images }));
  await home.mustRun(["up", "-d", "--images", join(home.path, "images.yaml")]);
  mesh = await openKubectl(home, { version: "35", namespace: "mesh" });
  shop = await openKubectl(home, { version: "29", namespace: "shop" });
  await mesh.must(["create", "namespace", "mesh"]);
  await shop.must(["create", "namespace", "shop"]);
  await installInjector();
}, TEST_MS);
afterAll(async () => {
  await home[Symbol.asyncDispose]();
}, TEST_MS);

async function installInjector(): Promise<void> {
  const validity = { notBefore: Date.now() - DAY_MS, notAfter: Date.now() + DAY_MS };
  const issuer = await createAuthority({ commonName: "mesh", ...validity });
  const names = ["injector.mesh.svc"];
  const { key, certificate } = await createServerCertificate({ commonName: "i", names, issuer, ...validity });
  caBundle = Buffer.from(issuer.certificate).toString("base64");
  writeFileSync(join(home.path, "tls.key"), key);
  writeFileSync(join(home.path, "tls.crt"), certificate);
  await mesh.must(["create", "secret", "tls", "injector", "--key=tls.key", "--cert=tls.crt"]);
  const container = {
    name: "injector",
    image: "injector",
    command: ["bun", "/opt/injector.mjs"],
    ports: [{ name: "https", containerPort: 8443 }],
    readinessProbe: { tcpSocket: { port: "https" }, periodSeconds: 1 },
    volumeMounts: [{ name: "certs", mountPath: "/certs", readOnly: true }],
  };
  const labels = { app: "injector" };
  const spec = {
    terminationGracePeriodSeconds: 0,
    containers: [container],
    volumes: [{ name: "certs", secret: { secretName: "injector" } }],
  };
  const template = { metadata: { labels }, spec };
  await mesh.must(["create", "-f", "-"], workload("Deployment", "injector", { template }));
  await mesh.must(["expose", "deployment", "injector", "--port=443", "--target-port=https"]);
  await mesh.must(["rollout", "status", "deployment/injector", "--timeout=60s"]);
}

function configuration(failurePolicy: "Fail" | "Ignore"): string {
  return JSON.stringify({
    apiVersion: "admissionregistration.k8s.io/v1",
    kind: "MutatingWebhookConfiguration",
    metadata: { name: "injector" },
    webhooks: [
      {
        name: "injector.mesh.example.com",
        clientConfig: { service: { namespace: "mesh", name: "injector", path: "/inject" }, caBundle },
        rules: [{ operations: ["CREATE"], apiGroups: [""], apiVersions: ["v1"], resources: ["pods"] }],
        namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "shop" } },
        failurePolicy,
        sideEffects: "None",
        admissionReviewVersions: ["v1"],
      },
    ],
  });
}

const CONTAINERS = ["get", "pods", "-o", "jsonpath={.items[*].spec.containers[*].name}"];

test(
  "a webhook in a pod gives a Deployment's pods a sidecar, and they run with it",
  async () => {
    await shop.must(["apply", "-f", "-"], configuration("Fail"));
    await shop.must(["create", "-f", "-"], workload("Deployment", "web", { replicas: 2 }));
    await shop.must(["rollout", "status", "deployment/web", "--timeout=60s"]);
    expect(await shop.must(CONTAINERS)).toBe("main proxy main proxy");
    expect(await mesh.must(["get", "pods", "-o", "jsonpath={.items[*].spec.containers[*].name}"])).toBe(
      "injector",
    );
    expect(await said(shop, ["run", "bare", "--image=busybox", "--dry-run=server", "-o", "name"])).toBe(
      "0 pod/bare\nWarning: a proxy comes along with Pod in shop",
    );
  },
  TEST_MS,
);

test(
  "without it nothing new starts there, or goes without, as its configuration says",
  async () => {
    await mesh.must(["scale", "deployment/injector", "--replicas=0"]);
    await mesh.must(["wait", "--for=delete", "pod", "-l", "app=injector", "--timeout=60s"]);
    const run = ["run", "bare", "--image=busybox", "--restart=Never", "--", "true"];
    expect(await said(shop, run)).toBe(
      '1 Error from server (InternalError): Internal error occurred: failed calling webhook "injector.mesh.example.com": failed to call webhook: Post "https://injector.mesh.svc:443/inject?timeout=10s": no endpoints available for service "injector"',
    );
    await shop.must(["delete", "deployment", "web"]);
    await shop.must(["apply", "-f", "-"], configuration("Ignore"));
    await shop.must(run);
    expect(await shop.must(["get", "pod", "bare", "-o", "jsonpath={.spec.containers[*].name}"])).toBe("bare");
  },
  TEST_MS,
);
