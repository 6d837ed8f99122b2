/** Which webhooks a request concerns (apiserver `admission/plugin/webhook`: rules, selectors, equivalent resources). */
import type { ResourceInfo } from "../catalogue.ts";
import type { JsonObject } from "../../lib/frozen-json.ts";
import type { Labels } from "../label-requirement.ts";
import type { KubeObject } from "../object.ts";
import type { LabelSelector } from "../selectors.ts";
import type { AdmissionOperation, Webhook, WebhookRule } from "./webhook.ts";

export interface ResourceId {
  readonly group: string;
  readonly version: string;
  /** The plural. */
  readonly resource: string;
}

export interface KindId {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
}

/** `authentication.k8s.io/v1` UserInfo. */
export interface AdmissionUser {
  readonly username: string;
  readonly groups: readonly string[];
  readonly uid?: string;
  readonly extra?: Readonly<Record<string, readonly string[]>>;
}

/** A request as admission sees it (apiserver `admission.Attributes`). */
export interface AdmissionAttributes {
  readonly operation: AdmissionOperation;
  readonly resource: ResourceId;
  /** Empty for the object itself. */
  readonly subresource: string;
  readonly kind: KindId;
  /** Empty while it has yet to be generated. */
  readonly name: string;
  /** Of a namespace: its own name. */
  readonly namespace: string;
  readonly object?: KubeObject;
  readonly oldObject?: KubeObject;
  /** `CreateOptions` and its like. */
  readonly options?: JsonObject;
  readonly dryRun: boolean;
  readonly user: AdmissionUser;
}

/** What a webhook is shown of a request: the resource as its rule names it. */
export interface Invocation {
  readonly webhook: Webhook;
  readonly resource: ResourceId;
  readonly kind: KindId;
}

/** What a webhook's selectors and rules are held against. */
export interface Surroundings {
  /** Labels of a namespace; may throw when there is none. */
  readonly labelsOf: (namespace: string) => Labels;
  /** What is served there. */
  readonly servedAt: (at: Pick<ResourceInfo, "group" | "version" | "plural">) => ResourceInfo | undefined;
}

/** Undefined for a webhook that the request does not concern. */
export function invocationOf(
  webhook: Webhook,
  attributes: AdmissionAttributes,
  { labelsOf, servedAt }: Surroundings,
): Invocation | undefined {
  const invocation = namedBy(webhook, attributes, servedAt);
  if (invocation === undefined) return undefined;
  if (!isSelected(webhook.objectSelector, attributes)) return undefined;
  return isInScope(webhook.namespaceSelector, attributes, labelsOf) ? invocation : undefined;
}

/** Whether a rule could ever name a request of this kind: what is asked before anything is prepared. */
export function mayConcern(
  { rules, takesEquivalents }: Webhook,
  attributes: Pick<AdmissionAttributes, "operation" | "resource" | "subresource">,
): boolean {
  return rules.some((rule) => {
    if (!namesOperation(rule, attributes.operation)) return false;
    if (!namesResource(rule, attributes.resource.resource, attributes.subresource)) return false;
    return takesEquivalents || namesVersion(rule, attributes.resource);
  });
}

/** The configurations of admission themselves: nobody locks themselves out (`IsExemptAdmissionConfigurationResource`). */
export function isExempt({ group }: { readonly group: string }): boolean {
  return group === "admissionregistration.k8s.io";
}

function namedBy(
  webhook: Webhook,
  attributes: AdmissionAttributes,
  servedAt: Surroundings["servedAt"],
): Invocation | undefined {
  const { resource, kind } = attributes;
  const fitting = webhook.rules.filter(
    (rule) =>
      isOfScope(rule, attributes) &&
      namesOperation(rule, attributes.operation) &&
      namesResource(rule, resource.resource, attributes.subresource),
  );
  if (fitting.some((rule) => namesVersion(rule, resource))) return { webhook, resource, kind };
  if (!webhook.takesEquivalents) return undefined;
  for (const rule of fitting) {
    const other = equivalentIn(rule, attributes, servedAt);
    if (other !== undefined) return { webhook, ...other };
  }
  return undefined;
}

/** The same resource in the version that the rule names. */
function equivalentIn(
  { apiGroups = [], apiVersions = [] }: WebhookRule,
  { resource, subresource, kind }: AdmissionAttributes,
  servedAt: Surroundings["servedAt"],
): Pick<Invocation, "resource" | "kind"> | undefined {
  const own = servedAt({ ...resource, plural: resource.resource });
  if (own === undefined || !["*", own.group].some((group) => apiGroups.includes(group))) return undefined;
  for (const version of apiVersions) {
    const other = servedAt({ group: own.group, version, plural: own.plural });
    if (other === undefined || other.groupResource !== own.groupResource) continue;
    const at = { group: own.group, version };
    // A subresource may have a kind of another group, which stays what it is.
    const keepsKind = subresource !== "" && kind.group !== own.group;
    return {
      resource: { ...at, resource: own.plural },
      kind: keepsKind ? kind : { ...at, kind: kind.kind },
    };
  }
  return undefined;
}

function isOfScope({ scope = "*" }: WebhookRule, { resource, namespace }: AdmissionAttributes): boolean {
  if (scope === "*") return true;
  const isNamespace = resource.group === "" && resource.resource === "namespaces";
  const isNamespaced = !isNamespace && namespace !== "";
  return scope === "Namespaced" ? isNamespaced : scope === "Cluster" && !isNamespaced;
}

function namesOperation({ operations = [] }: WebhookRule, operation: string): boolean {
  return names(operations, operation);
}

function namesVersion(
  { apiGroups = [], apiVersions = [] }: WebhookRule,
  { group, version }: ResourceId,
): boolean {
  return names(apiGroups, group) && names(apiVersions, version);
}

/** `pods` is not `pods/status`; `*` is every resource and no subresource. */
function namesResource({ resources = [] }: WebhookRule, plural: string, subresource: string): boolean {
  return resources.some((text) => {
    const slash = text.indexOf("/");
    const [resource, sub] = slash < 0 ? [text, ""] : [text.slice(0, slash), text.slice(slash + 1)];
    return (resource === "*" || resource === plural) && (sub === "*" || sub === subresource);
  });
}

function names(items: readonly string[], wanted: string): boolean {
  return items.includes("*") || items.includes(wanted);
}

/** The object as it was counts as well: nobody leaves a webhook's sight by taking a label off. */
function isSelected(selector: LabelSelector, { object, oldObject }: AdmissionAttributes): boolean {
  if (selector.requirements.length === 0) return true;
  return [object, oldObject].some((one) => one !== undefined && selector.matches(one.metadata?.labels));
}

/** What is in no namespace is never left out, but for namespaces: their own labels count. */
function isInScope(
  selector: LabelSelector,
  { resource, subresource, namespace, operation, object }: AdmissionAttributes,
  labelsOf: (namespace: string) => Labels,
): boolean {
  if (selector.requirements.length === 0) return true;
  const isNamespace = resource.resource === "namespaces";
  if (namespace === "" && !isNamespace) return true;
  const isWritten = isNamespace && subresource === "" && operation !== "DELETE" && operation !== "CONNECT";
  return selector.matches(isWritten ? object?.metadata.labels : labelsOf(namespace));
}
