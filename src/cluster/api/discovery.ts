/** What the server can do, as clients ask for it: API groups and resources, aggregated (KEP-3352) and one by one. */
import { apiVersionOf, type ResourceInfo, resources } from "../../k8s/catalogue.ts";

/** A ready answer with code 200. */
export interface ApiDocument {
  readonly contentType: string;
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;
}

type Version = "v2" | "v2beta1";

/** What a client sees depends on what it accepts, so a cache must ask again. */
const HEADERS = { vary: "Accept" };

type Served = readonly ResourceInfo[];

/** Per set of resources: it changes with the CustomResourceDefinitions only. */
const written = new WeakMap<Served, Map<string, ApiDocument>>();

/** The document at `/api`, `/apis` or below; undefined for paths that hold none. `accept` is the request's header. */
export function discoveryDocument(
  path: string,
  accept: string | undefined,
  served: Served = resources,
): ApiDocument | undefined {
  const [root = "", group, version, ...more] = path.replace(/^\//, "").replace(/\/$/, "").split("/");
  if ((root !== "api" && root !== "apis") || more.length > 0) return undefined;
  if (group === undefined) {
    const aggregated = aggregatedVersion(accept);
    if (aggregated !== undefined) return aggregatedDocument(root, aggregated, served);
    return plainDocument(root, served, () => (root === "api" ? apiVersions() : groupList(served)));
  }
  if (root === "api") {
    return group === "v1" && version === undefined ? resourceListDocument("", group, served) : undefined;
  }
  if (group === "" || !served.some((info) => info.group === group)) return undefined;
  if (version !== undefined) return resourceListDocument(group, version, served);
  return plainDocument(`apis/${group}`, served, () => ({
    kind: "APIGroup",
    apiVersion: "v1",
    ...groupOf(group, served),
  }));
}

/** First of the accepted media types that is aggregated discovery in a version we write. */
function aggregatedVersion(accept = ""): Version | undefined {
  for (const range of accept.split(",")) {
    const parameters = range.split(";").map((part) => part.trim());
    if (parameters.includes("as=APIGroupDiscoveryList") && parameters.includes("g=apidiscovery.k8s.io")) {
      if (parameters.includes("v=v2")) return "v2";
      if (parameters.includes("v=v2beta1")) return "v2beta1";
    }
  }
  return undefined;
}

function remember(key: string, served: Served, make: () => ApiDocument): ApiDocument {
  const documents = written.get(served) ?? new Map<string, ApiDocument>();
  written.set(served, documents);
  const known = documents.get(key);
  if (known !== undefined) return known;
  const document = make();
  documents.set(key, document);
  return document;
}

function plainDocument(key: string, served: Served, value: () => object): ApiDocument {
  return remember(key, served, () => ({
    contentType: "application/json",
    body: `${JSON.stringify(value())}\n`,
    headers: HEADERS,
  }));
}

function resourceListDocument(group: string, version: string, served: Served): ApiDocument | undefined {
  const listed = served.filter((info) => info.group === group && info.version === version);
  if (listed.length === 0) return undefined;
  return plainDocument(`${group}/${version}`, served, () => ({
    kind: "APIResourceList",
    apiVersion: "v1",
    groupVersion: apiVersionOf({ group, version }),
    resources: listed.flatMap(plainResources),
  }));
}

function plainResources(info: ResourceInfo): object[] {
  const main = {
    name: info.plural,
    singularName: info.singular,
    namespaced: info.namespaced,
    kind: info.kind,
    verbs: info.verbs,
    ...(info.shortNames.length > 0 && { shortNames: info.shortNames }),
    ...(info.categories.length > 0 && { categories: info.categories }),
  };
  const subresources = info.subresources.map((sub) => ({
    name: `${info.plural}/${sub.name}`,
    singularName: "",
    namespaced: info.namespaced,
    ...((sub.group !== info.group || sub.version !== info.version) && {
      group: sub.group,
      version: sub.version,
    }),
    kind: sub.kind,
    verbs: sub.verbs,
  }));
  return [main, ...subresources];
}

function apiVersions(): object {
  return { kind: "APIVersions", versions: ["v1"], serverAddressByClientCIDRs: [] };
}

function groupList(served: Served): object {
  const names = [...new Set(served.map(({ group }) => group))].filter((group) => group !== "");
  return { kind: "APIGroupList", apiVersion: "v1", groups: names.map((group) => groupOf(group, served)) };
}

function groupOf(group: string, served: Served): object {
  const versions = versionsOf(group, served).map((version) => ({
    groupVersion: `${group}/${version}`,
    version,
  }));
  return { name: group, versions, preferredVersion: versions[0] };
}

function versionsOf(group: string, served: Served): string[] {
  return [...new Set(served.filter((info) => info.group === group).map(({ version }) => version))];
}

function aggregatedDocument(root: "api" | "apis", version: Version, served: Served): ApiDocument {
  return remember(`${root} ${version}`, served, () => {
    const groups = [...new Set(served.map(({ group }) => group))];
    const body = {
      kind: "APIGroupDiscoveryList",
      apiVersion: `apidiscovery.k8s.io/${version}`,
      metadata: {},
      items: groups
        .filter((group) => (group === "") === (root === "api"))
        .map((group) => aggregatedGroup(group, served)),
    };
    return {
      contentType: `application/json;g=apidiscovery.k8s.io;v=${version};as=APIGroupDiscoveryList`,
      body: `${JSON.stringify(body)}\n`,
      headers: HEADERS,
    };
  });
}

function aggregatedGroup(group: string, served: Served): object {
  const versions = versionsOf(group, served).map((version) => ({
    version,
    resources: served
      .filter((info) => info.group === group && info.version === version)
      .map(aggregatedResource),
    freshness: "Current",
  }));
  return { metadata: { ...(group !== "" && { name: group }) }, versions };
}

function aggregatedResource(info: ResourceInfo): object {
  const { group, version, kind } = info;
  const subresources = info.subresources.map((sub) => ({
    subresource: sub.name,
    responseKind: { group: sub.group, version: sub.version, kind: sub.kind },
    verbs: sub.verbs,
  }));
  return {
    resource: info.plural,
    responseKind: { group, version, kind },
    scope: info.namespaced ? "Namespaced" : "Cluster",
    singularResource: info.singular,
    verbs: info.verbs,
    ...(info.shortNames.length > 0 && { shortNames: info.shortNames }),
    ...(info.categories.length > 0 && { categories: info.categories }),
    ...(subresources.length > 0 && { subresources }),
  };
}
