/**
 * Writes `generated/resources.ts`: which resources a Kubernetes API server has, their verbs and subresources.
 * Source: the request paths and model names in the API classes of `@kubernetes/client-node`.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { clientNodeFolder, writeGenerated } from "./generated-file.ts";

/** Group versions in the order in which a real API server lists them; the core group comes first. */
const API_CLASSES: readonly (readonly [apiClass: string, group: string, version: string])[] = [
  ["CoreV1Api", "", "v1"],
  ["ApiregistrationV1Api", "apiregistration.k8s.io", "v1"],
  ["AppsV1Api", "apps", "v1"],
  ["AuthenticationV1Api", "authentication.k8s.io", "v1"],
  ["AuthorizationV1Api", "authorization.k8s.io", "v1"],
  ["AutoscalingV2Api", "autoscaling", "v2"],
  ["BatchV1Api", "batch", "v1"],
  ["CertificatesV1Api", "certificates.k8s.io", "v1"],
  ["NetworkingV1Api", "networking.k8s.io", "v1"],
  ["PolicyV1Api", "policy", "v1"],
  ["RbacAuthorizationV1Api", "rbac.authorization.k8s.io", "v1"],
  ["StorageV1Api", "storage.k8s.io", "v1"],
  ["AdmissionregistrationV1Api", "admissionregistration.k8s.io", "v1"],
  ["ApiextensionsV1Api", "apiextensions.k8s.io", "v1"],
  ["SchedulingV1Api", "scheduling.k8s.io", "v1"],
  ["CoordinationV1Api", "coordination.k8s.io", "v1"],
  ["NodeV1Api", "node.k8s.io", "v1"],
  ["DiscoveryV1Api", "discovery.k8s.io", "v1"],
  ["ResourceV1Api", "resource.k8s.io", "v1"],
  ["FlowcontrolApiserverV1Api", "flowcontrol.apiserver.k8s.io", "v1"],
];

/** Subresources whose kind cannot be read from a response type: group, version, kind. */
const SUBRESOURCE_KINDS: Readonly<Record<string, readonly [string, string, string]>> = {
  scale: ["autoscaling", "v1", "Scale"],
  eviction: ["policy", "v1", "Eviction"],
  "serviceaccounts/token": ["authentication.k8s.io", "v1", "TokenRequest"],
  "pods/attach": ["", "v1", "PodAttachOptions"],
  "pods/exec": ["", "v1", "PodExecOptions"],
  "pods/portforward": ["", "v1", "PodPortForwardOptions"],
  "pods/proxy": ["", "v1", "PodProxyOptions"],
  "pods/binding": ["", "v1", "Binding"],
  "services/proxy": ["", "v1", "ServiceProxyOptions"],
  "nodes/proxy": ["", "v1", "NodeProxyOptions"],
};

interface Operation {
  readonly path: string;
  readonly method: string;
  readonly operation: string;
  /** Model that is sent or answered, without its version prefix. */
  readonly model: string;
}

interface Entry {
  kind: string;
  readonly model: string;
  namespaced: boolean;
  readonly verbs: Set<string>;
  readonly subresources: Map<string, { model: string; readonly verbs: Set<string> }>;
}

function readOperations(apiClass: string): Operation[] {
  const file = join(clientNodeFolder, "gen/apis", `${apiClass}.js`);
  const text = readFileSync(file, "utf8").replaceAll(/\/\*\*[\s\S]*?\*\//g, "");
  const answers = new Map<string, string>();
  for (const [, name, body] of text.matchAll(/async (\w+)WithHttpInfo\(response\) \{([\s\S]*?)\n {4}\}/g)) {
    const model = /deserialize\([^"]*"(\w+)"/.exec(body ?? "")?.[1];
    if (name !== undefined && model !== undefined) answers.set(name, model);
  }
  const requests = text.matchAll(
    /async (\w+)\([^)]*_options\) \{[\s\S]*?const localVarPath = '([^']+)'[\s\S]*?HttpMethod\.(\w+)\)/g,
  );
  return [...requests].map(([, operation = "", path = "", method = ""]) => ({
    operation,
    path,
    method,
    model: answers.get(operation) ?? "",
  }));
}

function verbsOf({ path, method, operation, model }: Operation): string[] {
  const onCollection = !path.includes("{name}");
  if (operation.startsWith("connect")) return { POST: ["create"], GET: ["get"] }[method] ?? [];
  if (method === "GET") return onCollection && model.endsWith("List") ? ["list", "watch"] : ["get"];
  if (method === "DELETE") return [onCollection ? "deletecollection" : "delete"];
  return { POST: ["create"], PUT: ["update"], PATCH: ["patch"] }[method] ?? [];
}

function kindOf(model: string): string {
  return model.replace(/^([A-Z][a-z]+)?V\d+/, "");
}

function readResources(apiClass: string): Map<string, Entry> {
  const resources = new Map<string, Entry>();
  const operations = readOperations(apiClass).filter(({ path }) => !/\/watch\/|\{path\}/.test(path));
  for (const step of operations) {
    const scoped =
      /^\/(?:api|apis\/[^/]+)\/v\d+\/(namespaces\/\{namespace\}\/)?([a-z]+)(?:\/\{name\}(?:\/([a-z]+))?)?$/;
    const [, inNamespace, plural = "", subresource] = scoped.exec(step.path) ?? [];
    if (plural === "") continue;
    const entry = resources.get(plural) ?? newEntry(step);
    resources.set(plural, entry);
    if (inNamespace !== undefined) entry.namespaced = true;
    if (subresource === undefined) {
      for (const verb of verbsOf(step)) entry.verbs.add(verb);
      if (["POST", "PUT", "PATCH"].includes(step.method)) entry.kind = kindOf(step.model);
    } else {
      const sub = entry.subresources.get(subresource) ?? { model: step.model, verbs: new Set() };
      entry.subresources.set(subresource, sub);
      for (const verb of verbsOf(step)) sub.verbs.add(verb);
    }
  }
  return resources;
}

function newEntry({ model }: Operation): Entry {
  const kind = kindOf(model).replace(/List$/, "");
  return { kind, model, namespaced: false, verbs: new Set(), subresources: new Map() };
}

function generate(): string {
  const lines = API_CLASSES.flatMap(([apiClass, group, version]) => {
    // componentstatuses: deprecated since 1.19, nothing is stored and nothing could be answered.
    const resources = [...readResources(apiClass)].toSorted(([a], [b]) => (a < b ? -1 : 1));
    return resources
      .filter(([plural]) => plural !== "componentstatuses")
      .map(([plural, { kind, namespaced, verbs, subresources }]) => {
        const subs = [...subresources]
          .toSorted(([a], [b]) => (a < b ? -1 : 1))
          .map(([name, sub]) => {
            const known = SUBRESOURCE_KINDS[`${plural}/${name}`] ?? SUBRESOURCE_KINDS[name];
            const [subGroup, subVersion, subKind] = known ?? [group, version, kind];
            const its = [...sub.verbs].toSorted();
            return { name, kind: subKind, group: subGroup, version: subVersion, verbs: its };
          });
        const entry = {
          group,
          version,
          plural,
          kind,
          namespaced,
          verbs: [...verbs].toSorted(),
          subresources: subs,
        };
        return `  ${JSON.stringify(entry)},`;
      });
  });
  return `// Written by tools/gen-catalogue.ts. Do not edit.

export interface SubresourceEntry {
  readonly name: string;
  readonly kind: string;
  readonly group: string;
  readonly version: string;
  readonly verbs: readonly string[];
}

export interface ResourceEntry {
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  readonly kind: string;
  readonly namespaced: boolean;
  readonly verbs: readonly string[];
  readonly subresources: readonly SubresourceEntry[];
}

export const resourceEntries: readonly ResourceEntry[] = [
${lines.join("\n")}
];
`;
}

writeGenerated("resources.ts", generate());
