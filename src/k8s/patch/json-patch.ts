/** JSON Patch (RFC 6902), refused in the words of the library that the real API server uses (evanphx/json-patch). */
import { StatusError } from "../status-error.ts";
import { isJsonObject } from "../../lib/frozen-json.ts";
import { jsonEqual, ownValue, withEntry, withoutKey } from "./json.ts";

/** apiserver `maxJSONPatchOperations`. */
const MAX_OPERATIONS = 10_000;

type OperationName = "add" | "remove" | "replace" | "move" | "copy" | "test";

interface Operation {
  readonly op: OperationName;
  readonly path: string;
  readonly from?: string;
  readonly value?: unknown;
}

/** Answered as 422: the patch is well-formed but does not fit the document. */
function refused(detail: string): StatusError {
  const message = "the server rejected our request due to an error in our request";
  return new StatusError("Invalid", message, { causes: [{ message: detail, field: "patch" }] });
}

function malformed(detail: string): StatusError {
  return new StatusError("BadRequest", `error decoding patch: ${detail}`);
}

const NAMES: readonly string[] = ["add", "remove", "replace", "move", "copy", "test"];

function readOperation(value: unknown): Operation {
  if (!isJsonObject(value)) throw malformed("an operation must be an object");
  const { op, path, from } = value;
  if (typeof op !== "string" || !NAMES.includes(op)) throw refused(`Unexpected kind: ${String(op)}`);
  if (typeof path !== "string") throw refused(`${op} operation failed to decode path: missing value`);
  const needsFrom = op === "move" || op === "copy";
  if (needsFrom && typeof from !== "string")
    throw refused(`${op} operation failed to decode from: missing value`);
  if (op === "add" || op === "replace" || op === "test") {
    if (op !== "test" && !Object.hasOwn(value, "value"))
      throw refused(`${op} operation has no value: missing value`);
  }
  return {
    op: op as OperationName,
    path,
    ...(typeof from === "string" ? { from } : {}),
    value: ownValue(value, "value") ?? null,
  };
}

/** RFC 6901: `~1` is a slash, `~0` a tilde, and they are undone in this order. */
function parsePointer(path: string): string[] {
  if (path === "") return [];
  if (!path.startsWith("/")) throw refused(`doc is missing path: ${JSON.stringify(path)}: missing value`);
  const keys = path.slice(1).split("/");
  return keys.map((key) => key.replaceAll("~1", "/").replaceAll("~0", "~"));
}

/** Index into the list, or undefined for what is none; `-` and the length are one past the end. */
function listIndex(list: readonly unknown[], key: string): number | undefined {
  if (key === "-") return list.length;
  if (!/^(0|[1-9]\d{0,9})$/.test(key)) return undefined;
  const index = Number(key);
  return index <= list.length ? index : undefined;
}

const MISSING = Symbol("missing");

function valueAt(document: unknown, keys: readonly string[]): unknown {
  let value = document;
  for (const key of keys) {
    if (Array.isArray(value)) {
      const index = listIndex(value, key);
      if (index === undefined || index >= value.length) return MISSING;
      value = value[index];
    } else if (isJsonObject(value) && Object.hasOwn(value, key)) value = value[key];
    else return MISSING;
  }
  return value;
}

type Edit = (container: unknown, key: string) => unknown;

/** Rebuilds the containers on the way to the last key, which `edit` changes. */
function editAt(document: unknown, keys: readonly string[], edit: Edit): unknown {
  const [key = "", ...rest] = keys;
  if (rest.length === 0) return edit(document, key);
  if (Array.isArray(document)) {
    const index = listIndex(document, key) ?? document.length;
    return document.with(index, editAt(document[index], rest, edit));
  }
  return isJsonObject(document)
    ? withEntry(document, key, editAt(ownValue(document, key), rest, edit))
    : document;
}

function requireContainer(document: unknown, keys: readonly string[], { op, path }: Operation): void {
  const container = valueAt(document, keys.slice(0, -1));
  if (typeof container === "object" && container !== null) return;
  throw refused(
    `${op} operation does not apply: doc is missing path: ${JSON.stringify(path)}: missing value`,
  );
}

function add(document: unknown, operation: Operation): unknown {
  const { path, value } = operation;
  const keys = parsePointer(path);
  if (keys.length === 0) return value;
  requireContainer(document, keys, operation);
  return editAt(document, keys, (container, key) => {
    if (isJsonObject(container)) return withEntry(container, key, value);
    const list = container as readonly unknown[];
    const index = listIndex(list, key);
    if (index === undefined) {
      throw refused(
        `error in add for path: '${path}': Unable to access invalid index: ${key}: invalid index referenced`,
      );
    }
    return list.toSpliced(index, 0, value);
  });
}

function remove(document: unknown, operation: Operation): unknown {
  const { path } = operation;
  const keys = parsePointer(path);
  if (keys.length === 0) throw refused("error in remove for path: '': the whole document cannot be removed");
  requireContainer(document, keys, operation);
  return editAt(document, keys, (container, key) => {
    if (isJsonObject(container)) {
      if (Object.hasOwn(container, key)) return withoutKey(container, key);
      throw refused(
        `error in remove for path: '${path}': Unable to remove nonexistent key: ${key}: missing value`,
      );
    }
    const list = container as readonly unknown[];
    const index = listIndex(list, key);
    if (index !== undefined && index < list.length) return list.toSpliced(index, 1);
    throw refused(
      `error in remove for path: '${path}': Unable to access invalid index: ${key}: invalid index referenced`,
    );
  });
}

function replace(document: unknown, operation: Operation): unknown {
  const { path, value } = operation;
  const keys = parsePointer(path);
  if (keys.length === 0) return value;
  requireContainer(document, keys, operation);
  if (valueAt(document, keys) === MISSING) {
    throw refused(`replace operation does not apply: doc is missing key: ${path}: missing value`);
  }
  return editAt(document, keys, (container, key) =>
    Array.isArray(container)
      ? container.with(Number(key), value)
      : withEntry(container as object as Record<string, unknown>, key, value),
  );
}

function source(document: unknown, { op, from = "" }: Operation): unknown {
  const value = valueAt(document, parsePointer(from));
  if (value !== MISSING) return value;
  throw refused(`${op} operation does not apply: doc is missing from path: ${from}: missing value`);
}

function move(document: unknown, operation: Operation): unknown {
  const { path, from = "" } = operation;
  if (path.startsWith(`${from}/`))
    throw refused(`move operation does not apply: ${path} lies within ${from}`);
  const value = source(document, operation);
  if (path === from) return document;
  return add(remove(document, { op: "remove", path: from }), { op: "add", path, value });
}

function test(document: unknown, { path, value }: Operation): unknown {
  const found = valueAt(document, parsePointer(path));
  if (jsonEqual(found === MISSING ? null : found, value)) return document;
  throw refused(`testing value ${path} failed: test failed`);
}

function applyOperation(document: unknown, operation: Operation): unknown {
  switch (operation.op) {
    case "add":
      return add(document, operation);
    case "remove":
      return remove(document, operation);
    case "replace":
      return replace(document, operation);
    case "move":
      return move(document, operation);
    case "copy":
      return add(document, { ...operation, value: source(document, operation) });
    case "test":
    default:
      return test(document, operation);
  }
}

/**
 * Applies a decoded patch; the document stays as it was. Throws StatusError: BadRequest for what is no patch,
 * Invalid for one that does not fit, RequestEntityTooLarge beyond 10,000 operations.
 */
export function applyJsonPatch(document: unknown, patch: unknown): unknown {
  if (!Array.isArray(patch)) throw malformed("a JSON patch must be a list of operations");
  if (patch.length > MAX_OPERATIONS) {
    const message = `The allowed maximum operations in a JSON patch is ${MAX_OPERATIONS}, got ${patch.length}`;
    throw new StatusError("RequestEntityTooLarge", message);
  }
  return patch.map(readOperation).reduce<unknown>(applyOperation, document);
}
