/**
 * Sets of field paths, in the very shape in which they are stored (`FieldsV1`): a set is a JSON object that maps path elements
 * to the sets below them, so that nothing is parsed or written when ownership is read, kept or stored (structured-merge-diff
 * `fieldpath.Set`).
 *
 * Elements: `f:name` a field or map entry, `k:{"name":"a"}` a list item by its keys, `v:"a"` one by its value, `i:0` one by its
 * place. An empty object, or an entry `.`, says that the path up to here is itself in the set.
 */
import { isJsonObject } from "../../lib/frozen-json.ts";

export interface FieldSet {
  readonly [element: string]: FieldSet;
}

/** The entry for the path itself. */
export const SELF = ".";

/** At the root: no field. Below it: the path so far and nothing under it. */
export const LEAF: FieldSet = Object.freeze({});

export const NO_FIELDS: FieldSet = Object.freeze({});

export function isEmptySet(set: FieldSet): boolean {
  for (const _ in set) return false;
  return true;
}

/** Whether the path that leads to this node is in the set. */
export function isMember(node: FieldSet): boolean {
  return isEmptySet(node) || Object.hasOwn(node, SELF);
}

export function below(set: FieldSet | undefined, element: string): FieldSet | undefined {
  return set !== undefined && Object.hasOwn(set, element) ? set[element] : undefined;
}

/** Every path of either; one of the arguments itself where it has all. */
export function union(a: FieldSet, b: FieldSet): FieldSet {
  if (isEmptySet(b)) return a;
  if (isEmptySet(a)) return b;
  const result: Record<string, FieldSet> = { ...a };
  let isSame = true;
  for (const [element, node] of Object.entries(b)) {
    const own = below(a, element);
    const both = own === undefined ? node : element === SELF ? own : unionNodes(own, node);
    if (both === own) continue;
    result[element] = both;
    isSame = false;
  }
  return isSame ? a : result;
}

function unionNodes(a: FieldSet, b: FieldSet): FieldSet {
  if (a === b) return a;
  const both = union(a, b);
  return isMember(both) || (!isMember(a) && !isMember(b)) ? both : { [SELF]: LEAF, ...both };
}

/** The paths of `a` that are not in `b`; `a` itself where `b` has none of them. */
export function difference(a: FieldSet, b: FieldSet): FieldSet {
  return combine(a, b, (inA, inB) => inA && !inB) ?? NO_FIELDS;
}

/** The paths that are in both. */
export function intersection(a: FieldSet, b: FieldSet): FieldSet {
  const result: Record<string, FieldSet> = {};
  for (const [element, node] of Object.entries(a)) {
    const other = element === SELF ? undefined : below(b, element);
    if (other === undefined) continue;
    const children = intersection(node, other);
    if (isMember(node) && isMember(other)) {
      result[element] = isEmptySet(children) ? LEAF : { [SELF]: LEAF, ...children };
    } else if (!isEmptySet(children)) {
      result[element] = children;
    }
  }
  return result;
}

type Keep = (inA: boolean, inB: boolean) => boolean;

/** Undefined where nothing is left below this node; its own membership is the caller's. */
function combine(a: FieldSet, b: FieldSet, keep: Keep): FieldSet | undefined {
  const result: Record<string, FieldSet> = {};
  let isSame = true;
  for (const [element, node] of Object.entries(a)) {
    if (element === SELF) continue;
    const other = below(b, element);
    const left = other === undefined ? node : combineNodes(node, other, keep);
    if (left !== undefined) result[element] = left;
    if (left !== node) isSame = false;
  }
  if (isSame) return a;
  return isEmptySet(result) ? undefined : result;
}

function combineNodes(a: FieldSet, b: FieldSet, keep: Keep): FieldSet | undefined {
  const stays = isMember(a) && keep(true, isMember(b));
  const { [SELF]: _, ...inner } = a;
  const children = combine(inner, b, keep);
  const hasChildren = children !== undefined && !isEmptySet(children);
  if (!stays) return hasChildren ? children : undefined;
  if (!hasChildren) return isEmptySet(a) ? a : LEAF;
  return children === inner ? a : { [SELF]: LEAF, ...children };
}

/** Calls back for every path of the set, parents first. */
export function* pathsOf(set: FieldSet, before: readonly string[] = []): Generator<readonly string[]> {
  for (const [element, node] of Object.entries(set)) {
    if (element === SELF) continue;
    const path = [...before, element];
    if (isMember(node)) yield path;
    yield* pathsOf(node, path);
  }
}

/** Whether this is a set: something that a client sent as `fieldsV1`. */
export function isFieldSet(value: unknown, depth = 0): value is FieldSet {
  if (!isJsonObject(value) || depth > MAX_DEPTH) return false;
  return Object.entries(value).every(
    ([element, node]) =>
      isFieldSet(node, depth + 1) && (depth > 0 && element === SELF ? isEmptySet(node) : isElement(element)),
  );
}

/** No object of Kubernetes is as deep. */
const MAX_DEPTH = 200;

function isElement(element: string): boolean {
  const rest = element.slice(2);
  if (element.startsWith("f:")) return true;
  if (element.startsWith("i:")) return /^\d+$/.test(rest);
  if (!element.startsWith("k:") && !element.startsWith("v:")) return false;
  try {
    const value: unknown = JSON.parse(rest);
    return element.startsWith("v:") || isJsonObject(value);
  } catch {
    return false;
  }
}
