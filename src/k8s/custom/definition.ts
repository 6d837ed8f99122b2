/** What a CustomResourceDefinition says of its resource: an entry for the catalogue per served version, and how it is stored. */
import { isJsonObject } from "../../lib/frozen-json.ts";
import type { ResourceInfo } from "../catalogue.ts";
import type { GroupResource, KubeObject } from "../object.ts";
import type { CustomSchema } from "./custom-schema.ts";
import { compareVersions } from "./version-order.ts";

export const DEFINITIONS = "customresourcedefinitions.apiextensions.k8s.io";

export interface DefinitionNames {
  readonly plural: string;
  readonly singular?: string;
  readonly shortNames?: readonly string[];
  readonly kind: string;
  readonly listKind?: string;
  readonly categories?: readonly string[];
}

export interface PrinterColumn {
  readonly name: string;
  readonly type: string;
  readonly format?: string;
  readonly description?: string;
  readonly priority?: number;
  readonly jsonPath: string;
}

export interface ScalePaths {
  readonly specReplicasPath: string;
  readonly statusReplicasPath: string;
  readonly labelSelectorPath?: string;
}

export interface DefinitionVersion {
  readonly name: string;
  readonly served: boolean;
  readonly storage: boolean;
  readonly deprecated?: boolean;
  readonly deprecationWarning?: string;
  readonly schema?: { readonly openAPIV3Schema?: CustomSchema };
  readonly subresources?: { readonly status?: object; readonly scale?: ScalePaths };
  readonly additionalPrinterColumns?: readonly PrinterColumn[];
  readonly selectableFields?: readonly { readonly jsonPath: string }[];
}

export interface DefinitionCondition {
  readonly type: string;
  readonly status: "True" | "False" | "Unknown";
  readonly lastTransitionTime?: string;
  readonly reason?: string;
  readonly message?: string;
}

/** `apiextensions.k8s.io/v1`, decoded. */
export interface Definition extends KubeObject {
  readonly spec: {
    readonly group: string;
    readonly names: DefinitionNames;
    readonly scope: string;
    readonly versions: readonly DefinitionVersion[];
    readonly conversion?: { readonly strategy: string; readonly webhook?: unknown };
    readonly preserveUnknownFields?: boolean;
  };
  readonly status?: {
    readonly conditions?: readonly DefinitionCondition[] | null;
    readonly acceptedNames?: DefinitionNames;
    readonly storedVersions?: readonly string[] | null;
  };
}

/** What the API must know of a custom resource beside its entry in the catalogue. */
export interface CustomVersion {
  readonly definition: Definition;
  readonly version: DefinitionVersion;
  /** `stable.example.com/v1`: what objects are stored as. */
  readonly storedApiVersion: string;
  readonly listKind: string;
}

/** How the store keeps the objects of a resource that a definition brings. */
export interface StoredCustomResource {
  readonly groupResource: GroupResource;
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  readonly namespaced: boolean;
  readonly hasStatus: boolean;
  readonly isCustom: true;
}

const VERBS = ["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"] as const;
const SUBRESOURCE_VERBS = ["get", "patch", "update"] as const;

const served = new WeakMap<KubeObject, readonly ResourceInfo[]>();
const stored = new WeakMap<KubeObject, StoredCustomResource | undefined>();

export function conditionOf(definition: Definition, type: string): DefinitionCondition | undefined {
  return definition.status?.conditions?.find((condition) => condition.type === type);
}

export function isTrue(definition: Definition, type: string): boolean {
  return conditionOf(definition, type)?.status === "True";
}

/** The entries of an established definition's served versions, the preferred one first. The same array for the same object. */
export function servedVersions(definition: KubeObject): readonly ResourceInfo[] {
  const known = served.get(definition);
  if (known !== undefined) return known;
  const infos = isDefinition(definition) && isTrue(definition, "Established") ? infosOf(definition) : [];
  served.set(definition, infos);
  return infos;
}

function infosOf(definition: Definition): ResourceInfo[] {
  return definition.spec.versions
    .filter((version) => version.served)
    .toSorted((a, b) => compareVersions(a.name, b.name))
    .map((version) => infoOf(definition, version));
}

/** One version's entry, whether it is served or not. */
export function infoOf(definition: Definition, version: DefinitionVersion): ResourceInfo {
  const { group, scope, names } = definition.spec;
  const accepted = definition.status?.acceptedNames;
  const { kind, plural, singular, shortNames, categories, listKind } =
    accepted === undefined || accepted.kind === "" ? names : accepted;
  const { status, scale } = version.subresources ?? {};
  const own = { name: "status", kind, group, version: version.name, verbs: SUBRESOURCE_VERBS };
  const asScale = {
    name: "scale",
    kind: "Scale",
    group: "autoscaling",
    version: "v1",
    verbs: SUBRESOURCE_VERBS,
  };
  return {
    group,
    version: version.name,
    plural,
    kind,
    namespaced: scope === "Namespaced",
    verbs: VERBS,
    subresources: [...(status === undefined ? [] : [own]), ...(scale === undefined ? [] : [asScale])],
    groupResource: `${plural}.${group}`,
    singular: singular ?? kind.toLowerCase(),
    shortNames: shortNames ?? [],
    categories: categories ?? [],
    hasStatus: status !== undefined,
    stored: true,
    actedOn: true,
    custom: {
      definition,
      version,
      storedApiVersion: `${group}/${storageVersion(definition).name}`,
      listKind: listKind ?? `${kind}List`,
    },
  };
}

/** Validation has seen to it that there is one. */
export function storageVersion({ spec }: Definition): DefinitionVersion {
  const version = spec.versions.find(({ storage }) => storage);
  if (version === undefined) throw new Error(`The definition ${spec.names.plural} has no storage version`);
  return version;
}

/** Undefined for what is no whole definition. The same value for the same object. */
export function storedResource(definition: KubeObject): StoredCustomResource | undefined {
  if (!stored.has(definition)) stored.set(definition, describe(definition));
  return stored.get(definition);
}

function describe(definition: KubeObject): StoredCustomResource | undefined {
  if (!isDefinition(definition)) return undefined;
  const { group, names, scope, versions } = definition.spec;
  const version = versions.find(({ storage }) => storage);
  if (version === undefined) return undefined;
  return {
    groupResource: `${names.plural}.${group}`,
    group,
    version: version.name,
    kind: names.kind,
    namespaced: scope === "Namespaced",
    hasStatus: version.subresources?.status !== undefined,
    isCustom: true,
  };
}

/** Whether the parts are there that everything else is read from. */
export function isDefinition(object: KubeObject): object is Definition {
  const { spec } = object;
  return isJsonObject(spec) && isJsonObject(spec["names"]) && Array.isArray(spec["versions"]);
}
