/** Asks the webhooks that a request concerns, one after the other for changes, all at once for a verdict (apiserver `admission/plugin/webhook` dispatchers). */
import { randomUUID } from "node:crypto";
import { apiVersionOf, type ResourceInfo } from "../../../k8s/catalogue.ts";
import { readOwners } from "../../../k8s/apply/owners.ts";
import { DecodeError } from "../../../k8s/decode-scalar.ts";
import { goQuote } from "../../../k8s/go-format.ts";
import type { Labels } from "../../../k8s/label-requirement.ts";
import type { KubeObject } from "../../../k8s/object.ts";
import { jsonEqual } from "../../../k8s/patch/json.ts";
import { applyJsonPatch } from "../../../k8s/patch/json-patch.ts";
import { StatusError } from "../../../k8s/status-error.ts";
import {
  admissionRequest,
  admissionReview,
  readReviewResponse,
  type ReviewResponse,
  shownObjects,
  WebhookFailure,
} from "../../../k8s/webhooks/admission-review.ts";
import {
  type AdmissionAttributes,
  type Invocation,
  invocationOf,
  isExempt,
  mayConcern,
} from "../../../k8s/webhooks/match-webhook.ts";
import { allHold, ConditionError } from "../../../k8s/webhooks/match-conditions.ts";
import { Reinvocation } from "../../../k8s/webhooks/reinvocation.ts";
import type { AdmissionOperation, Webhook } from "../../../k8s/webhooks/webhook.ts";
import { WebhookDenial } from "../../../k8s/webhooks/webhook-denial.ts";
import { servedAt } from "../custom/served-resources.ts";
import { badRequest, forbidden, internalError, notFound } from "../../store/api-errors.ts";
import { type CallParts, callWebhook } from "./call-webhook.ts";
import { openWebhookIndex, type WebhookIndex } from "./webhook-index.ts";

/** Who has asked for the write, as far as webhooks have something for them. */
export interface Asking {
  readonly warn: (text: string) => void;
  /** Aborts when nobody waits for the answer any more. Absent for controllers. */
  readonly signal?: AbortSignal | undefined;
}

export interface MutationRequest extends Asking {
  readonly attributes: AdmissionAttributes;
  /** The built-in admission steps, which have their say once more when a webhook has changed the object. */
  readonly again: (object: KubeObject) => KubeObject;
  /** A patched object as one of its kind, with its defaults. Throws `StatusError`. */
  readonly decode: (value: unknown) => KubeObject;
}

export interface ConcernedRequest {
  readonly operation: AdmissionOperation;
  readonly info: Pick<ResourceInfo, "group" | "version" | "plural">;
  /** Empty for the object itself. */
  readonly subresource: string;
}

export interface Webhooks {
  /** False for nearly all requests, and then nothing is to be waited for. */
  concern(request: ConcernedRequest): boolean;
  /** The object as the webhooks want it; undefined where the request has none. Rejects with a `StatusError`. */
  mutate(request: MutationRequest): Promise<KubeObject | undefined>;
  /** Rejects with the `StatusError` of a webhook that says no. */
  validate(attributes: AdmissionAttributes, asking: Asking): Promise<void>;
  stop(): void;
}

export function openWebhooks(
  parts: CallParts & { readonly store: Parameters<typeof openWebhookIndex>[0] },
): Webhooks {
  return new RunningWebhooks(parts, openWebhookIndex(parts.store));
}

class RunningWebhooks implements Webhooks {
  readonly #parts: CallParts;
  readonly #index: WebhookIndex;
  readonly #stopped = new AbortController();

  constructor(parts: CallParts, index: WebhookIndex) {
    this.#parts = parts;
    this.#index = index;
  }

  concern({ operation, info, subresource }: ConcernedRequest): boolean {
    const { mutating, validating } = this.#index;
    if (mutating.length + validating.length === 0 || isExempt(info)) return false;
    const resource = { group: info.group, version: info.version, resource: info.plural };
    const isConcerned = (webhook: Webhook) => mayConcern(webhook, { operation, resource, subresource });
    return mutating.some(isConcerned) || validating.some(isConcerned);
  }

  async mutate({ attributes, again, decode, ...asking }: MutationRequest): Promise<KubeObject | undefined> {
    const reinvocation = new Reinvocation();
    const hooks = this.#index.mutating;
    const first = await this.#round(attributes, { hooks, reinvocation, asking, decode });
    if (first === attributes.object || first === undefined) return first;
    const settled = again(first);
    if (!jsonEqual(settled, first)) reinvocation.changed();
    const due = hooks.filter(({ uid }) => reinvocation.isDue(uid));
    const last = await this.#round(
      { ...attributes, object: settled },
      { hooks: due, reinvocation, asking, decode },
    );
    // What they have made of it now has been seen by nobody yet.
    return last === undefined || last === settled ? last : again(last);
  }

  async validate(attributes: AdmissionAttributes, asking: Asking): Promise<void> {
    const invocations = this.#index.validating.flatMap(
      (webhook) => this.#invocation(webhook, attributes) ?? [],
    );
    const verdicts = await Promise.allSettled(
      invocations.map((invocation) => this.#ask(invocation, { attributes, asking, isMutating: false })),
    );
    for (const verdict of verdicts) if (verdict.status === "rejected") throw verdict.reason;
  }

  stop(): void {
    this.#index.stop();
    this.#stopped.abort();
  }

  /** The same object when nothing has changed. */
  async #round(given: AdmissionAttributes, round: Round): Promise<KubeObject | undefined> {
    let attributes = given;
    for (const webhook of round.hooks) {
      const invocation = this.#invocation(webhook, attributes);
      if (invocation === undefined) continue;
      const response = await this.#ask(invocation, { attributes, asking: round.asking, isMutating: true });
      const object = withPatch(response?.patch, { attributes, invocation, decode: round.decode });
      round.reinvocation.answered(webhook, object !== attributes.object);
      if (object !== undefined) attributes = { ...attributes, object };
    }
    return attributes.object;
  }

  #invocation(webhook: Webhook, attributes: AdmissionAttributes): Invocation | undefined {
    const invocation = invocationOf(webhook, attributes, {
      labelsOf: (namespace) => this.#labelsOf(namespace),
      servedAt: (at) => servedAt(this.#parts.store, at),
    });
    return invocation !== undefined && fulfilsConditions(invocation, attributes) ? invocation : undefined;
  }

  #labelsOf(name: string): Labels {
    const namespace = this.#parts.store.get("namespaces", { namespace: "", name });
    if (namespace === undefined) throw notFound("namespaces", name);
    return namespace.metadata.labels ?? {};
  }

  /** Undefined for one that could not be asked, and that nobody needs. */
  async #ask(invocation: Invocation, question: Question): Promise<ReviewResponse | undefined> {
    const { webhook } = invocation;
    if (question.attributes.dryRun && webhook.hasSideEffects) {
      throw badRequest(`admission webhook ${goQuote(webhook.name)} does not support dry run`);
    }
    try {
      return await this.#response(invocation, question);
    } catch (error) {
      if (!(error instanceof WebhookFailure)) throw error;
      if (question.asking.signal?.aborted === true) {
        throw new StatusError("Timeout", "Timeout: request did not complete within requested timeout");
      }
      if (webhook.failsOpen) return undefined;
      throw internalError(`failed calling webhook ${goQuote(webhook.name)}: ${error.message}`);
    }
  }

  async #response(
    invocation: Invocation,
    { attributes, asking, isMutating }: Question,
  ): Promise<ReviewResponse> {
    const { webhook } = invocation;
    const { reviewVersion: version, clientConfig, timeoutSeconds } = webhook;
    if (version === undefined) {
      const why = "webhook does not accept known AdmissionReview versions (v1, v1beta1)";
      throw new WebhookFailure(`could not create admission objects: ${why}`);
    }
    const review = { uid: randomUUID(), version };
    const body = admissionReview(review, attributes, invocation);
    const left = asking.signal === undefined ? [] : [asking.signal];
    const call = { clientConfig, body, timeoutSeconds, signals: [...left, this.#stopped.signal] };
    const response = readReviewResponse(await callWebhook(call, this.#parts), review, isMutating);
    response.warnings.forEach(asking.warn);
    if (!response.allowed) throw new WebhookDenial(webhook.name, response.status);
    return response;
  }
}

/** Throws `Forbidden` for conditions that cannot be evaluated, where the webhook must not be left out. */
function fulfilsConditions(invocation: Invocation, attributes: AdmissionAttributes): boolean {
  const { matchConditions, failsOpen } = invocation.webhook;
  if (matchConditions.length === 0) return true;
  const request = admissionRequest(attributes, invocation);
  try {
    const { object, oldObject } = shownObjects(attributes, invocation);
    return allHold(matchConditions, { object, oldObject, request });
  } catch (error) {
    if (!(error instanceof ConditionError)) throw error;
    if (failsOpen) return false;
    const { group, resource } = attributes.resource;
    const groupResource = group === "" ? resource : `${resource}.${group}`;
    throw forbidden(groupResource, attributes.name, { why: error.message });
  }
}

interface Round {
  readonly hooks: readonly Webhook[];
  readonly reinvocation: Reinvocation;
  readonly asking: Asking;
  readonly decode: MutationRequest["decode"];
}

interface Question {
  readonly attributes: AdmissionAttributes;
  readonly asking: Asking;
  readonly isMutating: boolean;
}

interface Patching {
  readonly attributes: AdmissionAttributes;
  readonly invocation: Invocation;
  readonly decode: MutationRequest["decode"];
}

/** The same object when the patch changes nothing. A patch that does not fit is nobody's to ignore. */
function withPatch(
  patch: readonly unknown[] | undefined,
  { attributes, invocation, decode }: Patching,
): KubeObject | undefined {
  const { object, kind } = attributes;
  if (patch === undefined) return object;
  if (object === undefined) {
    const name = goQuote(invocation.webhook.name);
    throw internalError(
      `admission webhook ${name} attempted to modify the object, which is not supported for this operation`,
    );
  }
  const shown = { ...object, apiVersion: apiVersionOf(invocation.kind) };
  try {
    const patched = applyJsonPatch(shown, patch);
    const isOfKind = isKindOf(patched, invocation.kind);
    const value = isOfKind ? { ...patched, apiVersion: apiVersionOf(kind) } : patched;
    const next = keepReadableOwners(decode(value), object);
    return jsonEqual(next, object) ? object : next;
  } catch (error) {
    if (error instanceof StatusError)
      throw internalError(error.details?.causes?.[0]?.message ?? error.message);
    if (error instanceof DecodeError) throw internalError(error.message);
    throw error;
  }
}

function isKindOf(value: unknown, kind: Invocation["kind"]): value is KubeObject {
  const { apiVersion } = value as Partial<KubeObject>;
  return apiVersion === apiVersionOf(kind);
}

/** Who owns which fields is not a webhook's to break (`NewManagedFieldsValidatingAdmissionController`). */
function keepReadableOwners(next: KubeObject, { metadata }: KubeObject): KubeObject {
  const { managedFields } = next.metadata;
  const isReadable = managedFields !== undefined && readOwners(managedFields) !== undefined;
  if (isReadable || metadata.managedFields === undefined) return next;
  return { ...next, metadata: { ...next.metadata, managedFields: metadata.managedFields } };
}
