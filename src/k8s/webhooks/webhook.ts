/** Admission webhooks as they are stored, and as they are asked: in their order, with what a configuration leaves open filled in. */
import type { LabelSelector as LabelSelectorObject } from "../../../generated/kubernetes.ts";
import type { KubeObject } from "../object.ts";
import type { MatchCondition } from "./match-conditions.ts";
import { type LabelSelector, labelSelectorOf } from "../selectors.ts";

export const WEBHOOK_GROUP = "admissionregistration.k8s.io";
export const MUTATING_CONFIGURATIONS = `mutatingwebhookconfigurations.${WEBHOOK_GROUP}`;
export const VALIDATING_CONFIGURATIONS = `validatingwebhookconfigurations.${WEBHOOK_GROUP}`;

export type AdmissionOperation = "CREATE" | "UPDATE" | "DELETE" | "CONNECT";

/** Versions of `admission.k8s.io` that are spoken. */
export const REVIEW_VERSIONS = ["v1", "v1beta1"] as const;
export type ReviewVersion = (typeof REVIEW_VERSIONS)[number];

/** `RuleWithOperations`. Every list may hold `*`. */
export interface WebhookRule {
  readonly operations?: readonly string[];
  readonly apiGroups?: readonly string[];
  readonly apiVersions?: readonly string[];
  /** `pods`, `pods/status`, `pods/*`, `*\/status`, `*`, `*\/*`. */
  readonly resources?: readonly string[];
  readonly scope?: string;
}

export interface WebhookService {
  readonly namespace: string;
  readonly name: string;
  readonly path?: string;
  readonly port?: number;
}

/** Either a URL or a Service. */
export interface WebhookClientConfig {
  readonly url?: string;
  readonly service?: WebhookService;
  /** PEM in base64; without it the machine's own authorities are trusted. */
  readonly caBundle?: string;
}

/** One entry of a configuration's `webhooks`, as it is stored. */
export interface WebhookFields {
  readonly name: string;
  readonly clientConfig: WebhookClientConfig;
  readonly rules?: readonly WebhookRule[];
  readonly failurePolicy?: string;
  readonly matchPolicy?: string;
  readonly namespaceSelector?: LabelSelectorObject;
  readonly objectSelector?: LabelSelectorObject;
  readonly sideEffects?: string;
  readonly timeoutSeconds?: number;
  readonly admissionReviewVersions?: readonly string[];
  readonly matchConditions?: readonly { readonly name?: string; readonly expression?: string }[];
  /** Of mutating ones only. */
  readonly reinvocationPolicy?: string;
}

export interface WebhookConfiguration extends KubeObject {
  readonly webhooks?: readonly WebhookFields[];
}

export interface Webhook {
  /** Tells it from every other of its type. */
  readonly uid: string;
  readonly name: string;
  readonly rules: readonly WebhookRule[];
  /** `matchPolicy: Equivalent`: rules also stand for other versions of what they name. */
  readonly takesEquivalents: boolean;
  readonly namespaceSelector: LabelSelector;
  readonly objectSelector: LabelSelector;
  /** `failurePolicy: Ignore`: as if it was not there when it cannot be asked. */
  readonly failsOpen: boolean;
  readonly timeoutSeconds: number;
  /** True where a dry run must not reach it. */
  readonly hasSideEffects: boolean;
  /** All of them must hold. */
  readonly matchConditions: readonly MatchCondition[];
  /** `reinvocationPolicy: IfNeeded`. */
  readonly isReinvocable: boolean;
  readonly clientConfig: WebhookClientConfig;
  /** The first in its list that is spoken here. */
  readonly reviewVersion: ReviewVersion | undefined;
}

const DEFAULT_SECONDS = 10;

/** In the order in which they are asked: by the configuration's name, then as the configuration has them. */
export function webhooksOf(configurations: Iterable<WebhookConfiguration>): readonly Webhook[] {
  const nameOf = ({ metadata }: WebhookConfiguration) => metadata.name ?? "";
  return [...configurations]
    .toSorted((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1))
    .flatMap((configuration) =>
      (configuration.webhooks ?? []).map((fields, index) =>
        webhookOf(fields, `${nameOf(configuration)}/${fields.name}/${index}`),
      ),
    );
}

function webhookOf(fields: WebhookFields, uid: string): Webhook {
  const { name, rules = [], clientConfig, sideEffects, admissionReviewVersions = [] } = fields;
  return {
    uid,
    name,
    rules,
    clientConfig,
    takesEquivalents: fields.matchPolicy !== "Exact",
    namespaceSelector: labelSelectorOf(fields.namespaceSelector ?? {}),
    objectSelector: labelSelectorOf(fields.objectSelector ?? {}),
    failsOpen: fields.failurePolicy === "Ignore",
    timeoutSeconds: fields.timeoutSeconds ?? DEFAULT_SECONDS,
    hasSideEffects: sideEffects !== "None" && sideEffects !== "NoneOnDryRun",
    matchConditions: (fields.matchConditions ?? []).map((condition) => ({
      name: condition.name ?? "",
      expression: condition.expression ?? "",
    })),
    isReinvocable: fields.reinvocationPolicy === "IfNeeded",
    reviewVersion: admissionReviewVersions.find(isReviewVersion),
  };
}

function isReviewVersion(text: string): text is ReviewVersion {
  return REVIEW_VERSIONS.some((known) => known === text);
}
