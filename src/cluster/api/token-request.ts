/** `serviceaccounts/token`: signs a token for a service account (registry/core/serviceaccount/storage/token.go). */
import type { Pod } from "../../../generated/kubernetes.ts";
import { type FieldError, invalid, invalidObject } from "../../k8s/field-error.ts";
import type { KubeObject } from "../../k8s/object.ts";
import { formatTimestamp } from "../../k8s/timestamp.ts";
import { isJsonObject, type JsonObject } from "../../lib/frozen-json.ts";
import { badRequest, conflict, notFound } from "../store/api-errors.ts";
import type { Store } from "../store/store.ts";
import type { NamedRequest } from "./api-context.ts";
import { type Answer, objectAnswer } from "./exchange.ts";
import { findObject } from "./read-verbs.ts";
import { writeOptions } from "./request-options.ts";
import { type BoundObject, ISSUER } from "./service-account-tokens.ts";
import { reviewRequest } from "./webhooks/reviewed-request.ts";
import { decodeRequest } from "./write-verbs.ts";

const KIND = { group: "authentication.k8s.io", version: "v1", kind: "TokenRequest" } as const;
const DEFAULT_SECONDS = 3600;
const MIN_SECONDS = 600;
const MAX_SECONDS = 2 ** 32;

/** 201 with the token in the status. */
export async function requestToken(named: NamedRequest): Promise<Answer> {
  const { context, request, target } = named;
  const { namespace, name } = target;
  const options = writeOptions(request.query, "CreateOptions");
  const sent = await decodeRequest(request, KIND, options.fieldValidation);
  findObject(named);
  const { dryRun } = options;
  const object = await reviewRequest(named, { operation: "CREATE", object: sent, dryRun });
  const account = findObject(named);
  const { name: given = "", namespace: givenNamespace = "" } = object.metadata ?? {};
  if (given !== "" && given !== name) {
    throw badRequest(`the name of the object (${given}) does not match the name on the URL (${name})`);
  }
  if (givenNamespace !== "" && givenNamespace !== namespace) {
    throw badRequest("the namespace of the provided object does not match the namespace sent on the request");
  }
  const spec = isJsonObject(object["spec"]) ? object["spec"] : {};
  const expirationSeconds = secondsOf(spec);
  const audiences = audiencesOf(spec);
  const boundTo = boundObject(context.store, { reference: spec["boundObjectRef"], namespace, name });
  const { token, expiresAt } = context.tokens.issue({
    namespace,
    serviceAccount: name,
    audiences,
    expirationSeconds,
    ...(boundTo === undefined ? {} : { boundTo }),
  });
  const { uid } = account.metadata;
  const answer: KubeObject = {
    kind: "TokenRequest",
    apiVersion: "authentication.k8s.io/v1",
    metadata: {
      name,
      namespace,
      ...(uid === undefined ? {} : { uid }),
      creationTimestamp: formatTimestamp(context.clock.now()),
    },
    spec: { ...spec, audiences: audiences.length === 0 ? [ISSUER] : audiences, expirationSeconds },
    status: { token, expirationTimestamp: formatTimestamp(expiresAt) },
  };
  return objectAnswer(answer, 201);
}

/** authentication `ValidateTokenRequest`. */
function secondsOf({ expirationSeconds = DEFAULT_SECONDS }: JsonObject): number {
  const errors: FieldError[] = [];
  const field = "spec.expirationSeconds";
  const seconds = Number(expirationSeconds);
  if (seconds < MIN_SECONDS) {
    errors.push(invalid(field, expirationSeconds, "may not specify a duration less than 10 minutes"));
  }
  if (seconds > MAX_SECONDS) {
    errors.push(invalid(field, expirationSeconds, "may not specify a duration larger than 2^32 seconds"));
  }
  if (errors.length > 0) throw invalidObject({ group: KIND.group, kind: KIND.kind, name: "" }, errors);
  return seconds;
}

function audiencesOf({ audiences }: JsonObject): string[] {
  return Array.isArray(audiences) ? audiences.map(String) : [];
}

interface Binding {
  readonly reference: unknown;
  readonly namespace: string;
  /** The service account. */
  readonly name: string;
}

const RESOURCES: Readonly<Record<BoundObject["kind"], string>> = {
  Pod: "pods",
  Secret: "secrets",
  Node: "nodes",
};

function boundObject(store: Store, { reference, namespace, name }: Binding): BoundObject | undefined {
  if (!isJsonObject(reference)) return undefined;
  const { apiVersion = "", kind = "", name: bound = "", uid = "" } = reference;
  if (!isBindable(kind) || apiVersion !== "v1") {
    const [group = "", version = ""] = String(apiVersion).includes("/")
      ? String(apiVersion).split("/")
      : ["", String(apiVersion)];
    throw badRequest(`cannot bind token to object of type ${group}/${version}, Kind=${String(kind)}`);
  }
  const resource = RESOURCES[kind];
  const at = { namespace: kind === "Node" ? "" : namespace, name: String(bound) };
  const object = store.get(resource, at);
  if (object === undefined) throw notFound(resource, at.name);
  const isOwnPod = kind !== "Pod" || (object as Pod).spec?.serviceAccountName === name;
  if (!isOwnPod) {
    throw badRequest(
      `cannot bind token for serviceaccount ${JSON.stringify(name)} to pod running with different serviceaccount name.`,
    );
  }
  const found = object.metadata.uid ?? "";
  if (uid !== "" && uid !== found) {
    const why = `the UID in the bound object reference (${String(uid)}) does not match the UID in record. The object might have been deleted and then recreated`;
    throw conflict(kind, at.name, why);
  }
  return { kind, name: at.name, uid: found };
}

function isBindable(kind: unknown): kind is BoundObject["kind"] {
  return typeof kind === "string" && Object.hasOwn(RESOURCES, kind);
}
