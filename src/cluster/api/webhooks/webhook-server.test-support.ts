/** A real webhook for tests: HTTPS with a certificate of an authority of its own, which answers as each test wants. */
import type { KubeObject } from "../../../k8s/object.ts";
import { createAuthority, createServerCertificate } from "../make-certificates.ts";

export interface AdmissionRequest {
  readonly uid: string;
  readonly operation: string;
  readonly kind: { readonly kind: string; readonly version: string };
  readonly resource: { readonly resource: string; readonly version: string };
  readonly requestResource: { readonly resource: string; readonly version: string };
  readonly subResource?: string;
  readonly name?: string;
  readonly namespace?: string;
  readonly dryRun: boolean;
  readonly userInfo: { readonly username: string; readonly groups: readonly string[] };
  readonly object: KubeObject | null;
  readonly oldObject: KubeObject | null;
  readonly options: Readonly<Record<string, unknown>>;
}

/** The part of an AdmissionReview's response that is not about identity. */
export interface Verdict {
  readonly allowed: boolean;
  readonly [field: string]: unknown;
}

/** Or a whole answer. */
export type Answer = Response | Verdict;

export interface WebhookServer extends AsyncDisposable {
  readonly port: number;
  /** Base64, for `clientConfig`. */
  readonly caBundle: string;
  /** PEM. */
  readonly authority: string;
  readonly requests: AdmissionRequest[];
  /** Every request's path, query and agent. */
  readonly paths: string[];
  answer: (request: AdmissionRequest) => Answer | Promise<Answer>;
}

/** Names that the certificate is for, besides 127.0.0.1. */
const NAMES = ["127.0.0.1", "hook.default.svc", "injector.mesh.svc"];
const DAY_MS = 86_400_000;

// One for all tests of the process: making it is not what they test.
const shared = { certificates: undefined as ReturnType<typeof makeCertificates> | undefined };

async function makeCertificates() {
  const now = Date.now();
  const [before, yesterday, tomorrow] = [now - 2 * DAY_MS, now - DAY_MS, now + DAY_MS];
  const issuer = await createAuthority({ commonName: "webhooks", notBefore: before, notAfter: tomorrow });
  const certify = (notAfter: number) =>
    createServerCertificate({ commonName: "hook", names: NAMES, issuer, notBefore: before, notAfter });
  return {
    authority: issuer.certificate,
    server: await certify(tomorrow),
    expired: await certify(yesterday),
  };
}

export async function startWebhookServer({ isExpired = false } = {}): Promise<WebhookServer> {
  shared.certificates ??= makeCertificates();
  const { authority, server, expired } = await shared.certificates;
  const certified = isExpired ? expired : server;
  const requests: AdmissionRequest[] = [];
  const paths: string[] = [];
  const listening = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    tls: { key: certified.key, cert: certified.certificate },
    async fetch(request) {
      const { pathname, search } = new URL(request.url);
      paths.push(`${pathname}${search} ${request.headers.get("user-agent") ?? ""}`);
      const review = (await request.json()) as { apiVersion: string; request: AdmissionRequest };
      requests.push(review.request);
      const answer = await webhook.answer(review.request);
      if (answer instanceof Response) return answer;
      const { uid } = review.request;
      return Response.json({
        apiVersion: review.apiVersion,
        kind: "AdmissionReview",
        response: { uid, ...answer },
      });
    },
  });
  const webhook: WebhookServer = {
    port: listening.port ?? 0,
    caBundle: Buffer.from(authority).toString("base64"),
    authority,
    requests,
    paths,
    answer: () => ({ allowed: true }),
    async [Symbol.asyncDispose]() {
      await listening.stop(true);
    },
  };
  return webhook;
}

/** The answer of a webhook that changes the object. */
export function patched(operations: readonly object[]): Verdict {
  return {
    allowed: true,
    patchType: "JSONPatch",
    patch: Buffer.from(JSON.stringify(operations)).toString("base64"),
  };
}

export interface ConfigurationOptions {
  readonly name?: string;
  readonly rules?: readonly object[];
  readonly [field: string]: unknown;
}

/** A configuration with one webhook, which is asked of ConfigMaps unless the options say otherwise. */
export function configuration(
  type: "Mutating" | "Validating",
  { port, caBundle }: Pick<WebhookServer, "port" | "caBundle">,
  { name = "test", ...fields }: ConfigurationOptions = {},
): KubeObject {
  return {
    apiVersion: "admissionregistration.k8s.io/v1",
    kind: `${type}WebhookConfiguration`,
    metadata: { name },
    webhooks: [
      {
        name: `${name}.example.com`,
        clientConfig: { url: `https://127.0.0.1:${port}/hook`, caBundle },
        rules: [{ operations: ["*"], apiGroups: [""], apiVersions: ["v1"], resources: ["configmaps"] }],
        sideEffects: "None",
        admissionReviewVersions: ["v1"],
        ...fields,
      },
    ],
  };
}
