/** JSON Patch (RFC 6902), refused in the words of the library that the real API server uses (evanphx/json-patch). */
import { StatusError } from "../status-error.ts";
import { isJsonObject, type JsonObject } from "../../lib/frozen-json.ts";
import { goQuote } from "../go-format.ts";
import { MAX_JSON_DEPTH } from "../json-text.ts";
import { jsonEqual, jsonExtent, ownValue, withEntry, withoutKey } from "./json.ts";

/** apiserver `maxJSONPatchOperations`. */
const MAX_OPERATIONS = 10_000;
/** What all copies of a patch may add, in bytes of JSON: each may double the document (apiserver `AccumulatedCopySizeLimit`). */
const MAX_COPIED_BYTES = 3 * 1024 * 1024;

/** Operations times values of the document: each may look at all of them, and many at once would hold up everybody else. */
const MAX_STEPS = 20_000_000;

interface Budget {
  /** Bytes that the copies so far have added. */
  copied: number;
  /** The document is not nested deeper. */
  depth: number;
}

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
  if ((op === "add" || op === "replace") && !Object.hasOwn(value, "value"))
    throw refused(`${op} operation has no value: missing value`);
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
  if (!path.startsWith("/")) throw refused(`doc is missing path: ${goQuote(path)}: missing value`);
  const keys = path.slice(1).split("/");
  return keys.map((key) => key.replaceAll("~1", "/").replaceAll("~0", "~"));
}

/** What is wrong with one step, to be worded by the operation that took it. */
class StepFault extends Error {
  override readonly name = "StepFault";
}

/** Beyond RFC 6901 the library takes leading zeros, and negative indices from the end. */
function listIndex(key: string, length: number): number {
  if (!/^[+-]?\d{1,15}$/.test(key))
    throw new StepFault(`strconv.Atoi: parsing ${goQuote(key)}: invalid syntax`);
  const index = Number(key);
  if (index >= length || index < -length) {
    throw new StepFault(`Unable to access invalid index: ${index}: invalid index referenced`);
  }
  return index < 0 ? index + length : index;
}

type Container = readonly unknown[] | JsonObject;

/** The object or list that holds the last key; undefined when the way there is broken. */
function containerOf(document: unknown, keys: readonly string[]): Container | undefined {
  let value = document;
  for (const key of keys.slice(0, -1)) {
    if (Array.isArray(value)) value = /^\d{1,15}$/.test(key) ? value[Number(key)] : undefined;
    else value = isJsonObject(value) ? ownValue(value, key) : undefined;
  }
  return Array.isArray(value) || isJsonObject(value) ? value : undefined;
}

/** A key that an object lacks reads as null, as in the library. Throws StepFault. */
function read(container: Container, key: string): unknown {
  if (isJsonObject(container)) return ownValue(container, key) ?? null;
  return container[listIndex(key, container.length)];
}

function insert(container: Container, key: string, value: unknown): Container {
  if (isJsonObject(container)) return withEntry(container, key, value);
  if (key === "-") return [...container, value];
  return container.toSpliced(listIndex(key, container.length + 1), 0, value);
}

function put(container: Container, key: string, value: unknown): Container {
  if (isJsonObject(container)) return withEntry(container, key, value);
  return container.with(listIndex(key, container.length), value);
}

function take(container: Container, key: string): Container {
  if (!isJsonObject(container)) return container.toSpliced(listIndex(key, container.length), 1);
  if (Object.hasOwn(container, key)) return withoutKey(container, key);
  throw new StepFault(`Unable to remove nonexistent key: ${key}: missing value`);
}

/** The document with another container at the end of the way, which must not be broken. */
function rebuild(document: unknown, keys: readonly string[], container: Container): unknown {
  const [key = "", ...rest] = keys;
  if (rest.length === 0) return container;
  if (Array.isArray(document))
    return document.with(Number(key), rebuild(document[Number(key)], rest, container));
  const object = document as JsonObject;
  return withEntry(object, key, rebuild(ownValue(object, key), rest, container));
}

/** Runs a step and puts the operation's words in front of what is wrong with it. */
function step<T>(words: string, run: () => T): T {
  try {
    return run();
  } catch (error) {
    if (error instanceof StepFault) throw refused(`${words}: ${error.message}`);
    throw error;
  }
}

interface Target {
  readonly keys: readonly string[];
  readonly key: string;
  readonly container: Container;
}

function target(document: unknown, path: string, missing: string): Target {
  const keys = parsePointer(path);
  const container = containerOf(document, keys);
  if (container === undefined) throw refused(`${missing}: missing value`);
  return { keys, key: keys.at(-1) ?? "", container };
}

function add(document: unknown, { path, value }: Operation): unknown {
  if (path === "") return value;
  const missing = `add operation does not apply: doc is missing path: ${goQuote(path)}`;
  const { keys, key, container } = target(document, path, missing);
  return rebuild(
    document,
    keys,
    step(`error in add for path: '${path}'`, () => insert(container, key, value)),
  );
}

function remove(document: unknown, { path }: Operation): unknown {
  if (path === "") throw refused("error in remove for path: '': the whole document cannot be removed");
  const missing = `remove operation does not apply: doc is missing path: ${goQuote(path)}`;
  const { keys, key, container } = target(document, path, missing);
  return rebuild(
    document,
    keys,
    step(`error in remove for path: '${path}'`, () => take(container, key)),
  );
}

/** The library lets a replace add a key to an object; only lists must have the item. */
function replace(document: unknown, { path, value }: Operation): unknown {
  if (path === "") return value;
  const missing = `replace operation does not apply: doc is missing path: ${path}`;
  const { keys, key, container } = target(document, path, missing);
  try {
    return rebuild(document, keys, put(container, key, value));
  } catch (error) {
    if (!(error instanceof StepFault)) throw error;
    throw refused(`replace operation does not apply: doc is missing key: ${path}: missing value`);
  }
}

function move(document: unknown, { path, from = "" }: Operation): unknown {
  if (from === "" || path.startsWith(`${from}/`)) {
    throw refused(`move operation does not apply: doc is missing destination path: ${path}: missing value`);
  }
  const source = target(document, from, `move operation does not apply: doc is missing from path: ${from}`);
  const { keys, key, container } = source;
  const words = `error in move for path: '${key}'`;
  const value = step(words, () => read(container, key));
  const without = rebuild(
    document,
    keys,
    step(words, () => take(container, key)),
  );
  if (path === "") return value;
  const goal = target(
    without,
    path,
    `move operation does not apply: doc is missing destination path: ${path}`,
  );
  const filled = step(`error in move for path: '${path}'`, () => insert(goal.container, goal.key, value));
  return rebuild(without, goal.keys, filled);
}

function copy(document: unknown, { path, from = "" }: Operation, budget: Budget): unknown {
  const missing = `copy operation does not apply: doc is missing from path: ${from}`;
  const source = from === "" ? undefined : target(document, from, missing);
  const words = `error in copy for from: '${from}'`;
  const value = source === undefined ? document : step(words, () => read(source.container, source.key));
  budget.copied += JSON.stringify(value).length;
  if (budget.copied > MAX_COPIED_BYTES) {
    const sizes = `${budget.copied}, exceeding the limit ${MAX_COPIED_BYTES}`;
    throw refused(
      `Unable to complete the copy, the accumulated size increase of copy operations is ${sizes}`,
    );
  }
  if (path === "") return value;
  const goal = target(
    document,
    path,
    `copy operation does not apply: doc is missing destination path: ${path}`,
  );
  const filled = step("error while adding value during copy", () => insert(goal.container, goal.key, value));
  return rebuild(document, goal.keys, filled);
}

function test(document: unknown, { path, value }: Operation): unknown {
  const found = path === "" ? document : readForTest(document, path);
  if (jsonEqual(found, value)) return document;
  throw refused(`testing value ${path} failed: test failed`);
}

function readForTest(document: unknown, path: string): unknown {
  const { key, container } = target(
    document,
    path,
    `test operation does not apply: is missing path: ${path}`,
  );
  return step(`error in test for path: '${path}'`, () => read(container, key));
}

function applyOperation(document: unknown, operation: Operation, budget: Budget): unknown {
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
      return copy(document, operation, budget);
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
  const { depth, values } = jsonExtent(document);
  if ((values + jsonExtent(patch).values) * patch.length > MAX_STEPS) {
    const message = `${patch.length} operations in a JSON patch are too many for a document of ${values} values`;
    throw new StatusError("RequestEntityTooLarge", message);
  }
  const budget: Budget = { copied: 0, depth };
  return patch.map(readOperation).reduce<unknown>((before, operation) => {
    const result = applyOperation(before, operation, budget);
    checkDepth(result, operation, budget);
    return result;
  }, document);
}

/** One patch after the other can nest a document deeper than any text that is read. */
function checkDepth(document: unknown, { path, from, value }: Operation, budget: Budget): void {
  const below = from === undefined ? jsonExtent(value).depth : budget.depth - parsePointer(from).length;
  budget.depth = Math.max(budget.depth, parsePointer(path).length + below);
  if (budget.depth <= MAX_JSON_DEPTH) return;
  // That was the worst case.
  budget.depth = jsonExtent(document).depth;
  if (budget.depth > MAX_JSON_DEPTH) throw refused("exceeded max depth");
}
