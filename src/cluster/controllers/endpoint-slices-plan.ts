/** What to write so that slices hold the wanted endpoints, with as few writes as can be (`endpointslice` reconciler). */
import type { Endpoint, EndpointPort, EndpointSlice, ObjectMeta } from "../../../generated/kubernetes.ts";
import { jsonEqual } from "../../k8s/patch/json.ts";
import { type EndpointGroup, groupKey } from "./endpoint-slices-desired.ts";

/** `--max-endpoints-per-slice`. */
const MAX_ENDPOINTS = 100;

export interface SlicePlan {
  readonly create: readonly EndpointSlice[];
  /** With the names of the slices that become so. */
  readonly update: readonly EndpointSlice[];
  /** Names. */
  readonly remove: readonly string[];
}

export interface SliceWishes {
  readonly existing: readonly EndpointSlice[];
  readonly groups: readonly EndpointGroup[];
  /** What every slice carries; a new one also gets the name that `generateName` makes. */
  readonly metadata: ObjectMeta;
  /** Families that have a slice even if no endpoint is there, so that clients see that there is none. */
  readonly families: readonly string[];
}

interface Draft {
  readonly name: string | undefined;
  readonly addressType: string;
  readonly ports: readonly EndpointPort[];
  endpoints: readonly Endpoint[];
  isChanged: boolean;
}

/** Endpoints stay in their slice; new ones fill slices that change anyway, then the best fitting one, then new slices. */
export function planSlices(wishes: SliceWishes): SlicePlan {
  const { existing, groups, metadata } = wishes;
  const wanted = new Map(groups.map((group) => [groupKey(group), group]));
  const held = Map.groupBy(existing, ({ addressType, ports = [] }) => groupKey({ addressType, ports }));
  const drafts = [...new Set([...held.keys(), ...wanted.keys()])].flatMap((key) =>
    draftGroup(held.get(key) ?? [], wanted.get(key), metadata),
  );
  const full = drafts.filter(({ endpoints }) => endpoints.length > 0);
  const empty = drafts.filter(({ endpoints }) => endpoints.length === 0);
  const missing = wishes.families.filter((family) => full.every((draft) => draft.addressType !== family));
  const placed = [...full, ...missing.map((family) => placeholder(family, empty, existing))];
  const taken = new Set(placed.map(({ name }) => name));
  return settle({ placed, spare: empty.filter(({ name }) => !taken.has(name)), metadata });
}

function draftGroup(
  slices: readonly EndpointSlice[],
  group: EndpointGroup | undefined,
  metadata: ObjectMeta,
): Draft[] {
  const missing = new Map((group?.endpoints ?? []).map((endpoint) => [endpointKey(endpoint), endpoint]));
  const drafts = slices.map((slice): Draft => {
    const kept = (slice.endpoints ?? []).flatMap((endpoint) => {
      const key = endpointKey(endpoint);
      const found = missing.get(key);
      missing.delete(key);
      return found === undefined ? [] : [found];
    });
    return {
      name: slice.metadata?.name,
      addressType: slice.addressType,
      ports: slice.ports ?? [],
      endpoints: kept,
      isChanged: !jsonEqual(kept, slice.endpoints ?? []) || !isMarked(slice, metadata),
    };
  });
  return group === undefined ? drafts : [...drafts, ...fill(drafts, [...missing.values()], group)];
}

function endpointKey({ addresses, hostname, targetRef }: Endpoint): string {
  return JSON.stringify([addresses, hostname, targetRef?.namespace, targetRef?.name]);
}

/** Annotations that nobody wishes for are somebody else's. */
function isMarked({ metadata }: EndpointSlice, { labels = {}, annotations }: ObjectMeta): boolean {
  if (annotations !== undefined && !jsonEqual(metadata?.annotations ?? {}, annotations)) return false;
  return jsonEqual(metadata?.labels ?? {}, labels);
}

/** Puts `missing` into the drafts; answers the new ones that it takes. */
function fill(drafts: readonly Draft[], missing: Endpoint[], group: EndpointGroup): Draft[] {
  const changed = drafts.filter(({ isChanged }) => isChanged);
  for (const draft of changed.toSorted((a, b) => b.endpoints.length - a.endpoints.length))
    top(draft, missing);
  const fresh: Draft[] = [];
  while (missing.length > 0) {
    const fitting = drafts
      .filter(({ endpoints }) => endpoints.length + missing.length <= MAX_ENDPOINTS)
      .toSorted((a, b) => b.endpoints.length - a.endpoints.length)[0];
    const { addressType, ports } = group;
    const draft = fitting ?? { name: undefined, addressType, ports, endpoints: [], isChanged: true };
    if (fitting === undefined) fresh.push(draft);
    top(draft, missing);
  }
  return fresh;
}

function top(draft: Draft, missing: Endpoint[]): void {
  const added = missing.splice(0, MAX_ENDPOINTS - draft.endpoints.length);
  if (added.length === 0) return;
  draft.endpoints = [...draft.endpoints, ...added];
  draft.isChanged = true;
}

/** A slice without ports and endpoints: the one that is there already, if there is one. */
function placeholder(
  addressType: string,
  empty: readonly Draft[],
  existing: readonly EndpointSlice[],
): Draft {
  const wasEmpty = new Set(
    existing.filter(({ endpoints = [] }) => endpoints.length === 0).map(({ metadata }) => metadata?.name),
  );
  const found = empty.find(
    (draft) => draft.addressType === addressType && draft.ports.length === 0 && wasEmpty.has(draft.name),
  );
  return found ?? { name: undefined, addressType, ports: [], endpoints: [], isChanged: true };
}

/** Slices that would go become the ones that would come. */
function settle({
  placed,
  spare,
  metadata,
}: {
  readonly placed: readonly Draft[];
  readonly spare: readonly Draft[];
  readonly metadata: ObjectMeta;
}): SlicePlan {
  const unused = [...spare];
  const update: EndpointSlice[] = [];
  const create: EndpointSlice[] = [];
  for (const draft of placed.filter(({ isChanged }) => isChanged)) {
    const index =
      draft.name === undefined ? unused.findIndex((one) => one.addressType === draft.addressType) : -1;
    const [reused] = index < 0 ? [] : unused.splice(index, 1);
    const name = draft.name ?? reused?.name;
    if (name === undefined) create.push(sliceOf(draft, metadata));
    else update.push(sliceOf(draft, { ...metadata, name }));
  }
  return { create, update, remove: unused.flatMap(({ name }) => name ?? []) };
}

function sliceOf({ addressType, ports, endpoints }: Draft, metadata: ObjectMeta): EndpointSlice {
  const { generateName, ...named } = metadata;
  return {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: named.name === undefined && generateName !== undefined ? { ...named, generateName } : named,
    addressType,
    endpoints: [...endpoints],
    ports: [...ports],
  };
}
