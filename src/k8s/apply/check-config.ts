/** Refuses manifests whose lists name one item twice, or name none: nobody could say whose it is (structured-merge-diff `AsTyped`). */
import { isJsonObject, type JsonObject } from "../../lib/frozen-json.ts";
import { goQuote } from "../go-format.ts";
import { listMapKey } from "../patch/match-item.ts";
import type { MergeField, MergeType } from "../patch/merge-schema.ts";
import { StatusError } from "../status-error.ts";
import { isGranularList, isGranularObject, itemShape } from "./field-shape.ts";
import { fieldElement, itemElement, printPath } from "./path-element.ts";

export interface CheckedConfig {
  readonly config: JsonObject;
  readonly type: MergeType | undefined;
  /** The refusal names the object as Go prints it: `default/web; apps/v1, Kind=Deployment`. */
  readonly object: {
    readonly namespace: string;
    readonly name: string;
    readonly apiVersion: string;
    readonly kind: string;
  };
}

/** Throws in the real server's words, which has no reason for this either. */
export function refuseUnclearItems({ config, type, object }: CheckedConfig): void {
  const errors = [...fieldErrors(config, type, [])];
  if (errors.length === 0) return;
  const { namespace, name, apiVersion, kind } = object;
  const text = errors.length === 1 ? errors[0] : `errors:\n${errors.map((error) => `  ${error}`).join("\n")}`;
  const where = `${namespace}/${name}; ${apiVersion}, Kind=${kind}`;
  throw new StatusError("Unknown", `failed to create typed patch object (${where}): ${text}`);
}

type Path = readonly string[];

function* fieldErrors(object: JsonObject, type: MergeType | undefined, path: Path): Generator<string> {
  for (const [name, value] of Object.entries(object)) {
    yield* valueErrors(value, type?.field(name), [...path, fieldElement(name)]);
  }
}

function* valueErrors(value: unknown, field: MergeField | undefined, path: Path): Generator<string> {
  if (isGranularObject(value, field)) yield* fieldErrors(value, field?.type, path);
  else if (field !== undefined && isGranularList(value, field)) yield* itemErrors(value, field, path);
}

function* itemErrors(list: readonly unknown[], field: MergeField, path: Path): Generator<string> {
  const shape = itemShape(field);
  const seen = new Set<string>();
  for (const [index, item] of list.entries()) {
    const why = unnamed(item, field);
    if (why !== undefined) {
      yield `${printPath(path)}: element ${index}: associative list with keys ${why}`;
      return;
    }
    const element = itemElement(item, field);
    if (seen.has(element)) yield `${printPath(path)}: duplicate entries for key ${printPath([element])}`;
    seen.add(element);
    yield* valueErrors(item, shape, [...path, element]);
  }
}

/** What keeps an item from being told apart. */
function unnamed(item: unknown, { topology, listMapKeys = [] }: MergeField): string | undefined {
  if (topology !== "map") return undefined;
  if (item === null) return "may not have a null element";
  if (!isJsonObject(item)) return "may not have non-map elements";
  const missing = listMapKeys.find((key) => listMapKey(item, key) === undefined);
  if (missing === undefined) return undefined;
  return `has an element that omits key field ${goQuote(missing)} (and doesn't have default value)`;
}
