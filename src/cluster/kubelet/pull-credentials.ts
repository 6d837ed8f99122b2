/** Registry user names and passwords from a pod's imagePullSecrets. Their values go nowhere but to the registry. */
import type { Secret } from "../../../generated/kubernetes.ts";
import type { StoredPod } from "../../k8s/pod.ts";
import type { RegistryCredentials } from "../images/image.ts";
import type { ReferencedObjects } from "./referenced-objects.ts";

/** All names under which docker.io appears in a Docker configuration. */
const DOCKER_HUB = ["docker.io", "index.docker.io", "registry-1.docker.io"];

export interface PullCredentials {
  /** For `ImageRequest.credentials`. */
  readonly lookup: (registryHost: string) => RegistryCredentials | undefined;
  /** Names of secrets that are missing or unreadable, for one event. */
  readonly unusable: readonly string[];
}

export function pullCredentials({ spec }: StoredPod, objects: ReferencedObjects): PullCredentials {
  const byHost = new Map<string, RegistryCredentials>();
  const unusable: string[] = [];
  for (const { name = "" } of spec.imagePullSecrets ?? []) {
    const entries = entriesOf(objects.secret(name));
    if (entries === undefined) unusable.push(name);
    // The first secret that knows a registry is used, as the keyring tries them in order.
    for (const [host, credentials] of entries ?? []) if (!byHost.has(host)) byHost.set(host, credentials);
  }
  const lookup = (registryHost: string) => {
    const names = DOCKER_HUB.includes(registryHost) ? DOCKER_HUB : [registryHost];
    return names.map((name) => byHost.get(name)).find((found) => found !== undefined);
  };
  return { lookup, unusable };
}

function entriesOf(secret: Secret | undefined): Map<string, RegistryCredentials> | undefined {
  const { type, data = {} } = secret ?? {};
  if (type === "kubernetes.io/dockerconfigjson") {
    const config = parseJson(data[".dockerconfigjson"]);
    return isRecord(config) && isRecord(config["auths"]) ? registries(config["auths"]) : undefined;
  }
  if (type === "kubernetes.io/dockercfg") {
    const config = parseJson(data[".dockercfg"]);
    return isRecord(config) ? registries(config) : undefined;
  }
  return undefined;
}

function registries(auths: Record<string, unknown>): Map<string, RegistryCredentials> {
  const found = new Map<string, RegistryCredentials>();
  for (const [server, entry] of Object.entries(auths)) {
    const credentials = isRecord(entry) ? credentialsOf(entry) : undefined;
    if (credentials !== undefined) found.set(hostOf(server), credentials);
  }
  return found;
}

function credentialsOf({
  auth,
  username,
  password,
}: Record<string, unknown>): RegistryCredentials | undefined {
  if (typeof username === "string" && typeof password === "string") return { username, password };
  if (typeof auth !== "string") return undefined;
  const text = Buffer.from(auth, "base64").toString("utf8");
  const colon = text.indexOf(":");
  return colon < 0 ? undefined : { username: text.slice(0, colon), password: text.slice(colon + 1) };
}

/** `https://index.docker.io/v1/` -> `index.docker.io`. */
function hostOf(server: string): string {
  return server.replace(/^https?:\/\//, "").split("/", 1)[0] ?? server;
}

function parseJson(base64: string | undefined): unknown {
  try {
    return JSON.parse(Buffer.from(base64 ?? "", "base64").toString("utf8"));
  } catch {
    // The text would be the secret: the caller only says which secret is unusable.
    return undefined;
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
