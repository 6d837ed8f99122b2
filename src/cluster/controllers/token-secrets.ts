/** Fills the Secrets that ask for a service account's token without an end (controller/serviceaccount `TokensController`). */
import type { Secret } from "../../../generated/kubernetes.ts";
import type { KubeObject } from "../../k8s/object.ts";
import { keyOf, placeOfKey } from "../../k8s/object-name.ts";
import type { ControllerParts } from "./controller.ts";
import { createWorkQueue } from "./work-queue.ts";

const TYPE = "kubernetes.io/service-account-token";
const ACCOUNT_NAME = "kubernetes.io/service-account.name";
const ACCOUNT_UID = "kubernetes.io/service-account.uid";

/** Whose token, and the Secret with which it ends. */
export interface SecretToken {
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly secret: { readonly name: string; readonly uid: string };
}

export interface TokenSecretParts extends Pick<ControllerParts, "store" | "clock"> {
  /** PEM. */
  readonly caCertificate: string;
  readonly issue: (wish: SecretToken) => string;
}

/** Until the returned function is called. A Secret whose account is not there, or goes, is deleted. */
export function startTokenSecretController(parts: TokenSecretParts): () => void {
  const { store, clock } = parts;
  const queue = createWorkQueue(clock, (key) => sync(parts, key));
  const stops = [
    store.watch("secrets", {}, ({ type, object }) => {
      if (type !== "DELETED" && isTokenSecret(object)) queue.add(keyOf(object.metadata));
    }),
    store.watch("serviceaccounts", { sendInitialEvents: false }, ({ type, object }) => {
      if (type === "DELETED")
        for (const secret of secretsOf(parts, object)) queue.add(keyOf(secret.metadata));
    }),
  ];
  return () => {
    queue.stop();
    for (const stop of stops) stop();
  };
}

function isTokenSecret(object: KubeObject): boolean {
  return object["type"] === TYPE;
}

function secretsOf({ store }: TokenSecretParts, { metadata }: KubeObject): readonly KubeObject[] {
  const { namespace = "", name } = metadata;
  const { items } = store.list("secrets", { namespace, matches: isTokenSecret });
  return items.filter((secret) => secret.metadata.annotations?.[ACCOUNT_NAME] === name);
}

function sync({ store, caCertificate, issue }: TokenSecretParts, key: string): void {
  const at = placeOfKey(key);
  const found = store.get("secrets", at);
  if (found === undefined || !isTokenSecret(found)) return;
  const { annotations = {}, uid = "" } = found.metadata;
  const { [ACCOUNT_NAME]: name = "", [ACCOUNT_UID]: wantedUid = "" } = annotations;
  const account = store.get("serviceaccounts", { namespace: at.namespace, name });
  const accountUid = account?.metadata.uid ?? "";
  if (account === undefined || (wantedUid !== "" && wantedUid !== accountUid)) {
    store.delete("secrets", at);
    return;
  }
  const { data = {} }: Secret = found;
  const authority = base64(caCertificate);
  const isFilled = data["ca.crt"] === authority && Boolean(data["namespace"]) && Boolean(data["token"]);
  if (isFilled) return;
  const { namespace } = at;
  const token =
    data["token"] || base64(issue({ namespace, serviceAccount: name, secret: { name: at.name, uid } }));
  store.update("secrets", at, (current) => ({
    ...current,
    metadata: { ...current.metadata, annotations: { ...annotations, [ACCOUNT_UID]: accountUid } },
    data: { ...data, "ca.crt": authority, namespace: data["namespace"] || base64(namespace), token },
  }));
}

function base64(text: string): string {
  return Buffer.from(text, "utf8").toString("base64");
}
