/** Reads the query parameters of each verb (`ListOptions`, `CreateOptions`, ...), in the words of the real server when they are wrong. */
import {
  type FieldError,
  forbidden,
  invalid,
  invalidObject,
  notSupported,
  required,
  tooLong,
} from "../../k8s/field-error.ts";
import { goQuote } from "../../k8s/go-format.ts";
import { StatusError } from "../../k8s/status-error.ts";

export type FieldValidation = "Strict" | "Warn" | "Ignore";

/** Common to create, update and patch. */
export interface WriteRequestOptions {
  readonly dryRun: boolean;
  readonly fieldValidation: FieldValidation;
  readonly fieldManager?: string;
  /** Server-side apply only: take over fields that others manage. */
  readonly force?: boolean;
}

export interface ListRequestOptions {
  readonly limit?: number;
  readonly continue?: string;
  readonly labelSelector: string;
  readonly fieldSelector: string;
  readonly resourceVersion?: string;
  readonly resourceVersionMatch?: "Exact" | "NotOlderThan";
  readonly watch: boolean;
  readonly allowWatchBookmarks: boolean;
  readonly sendInitialEvents?: boolean;
  readonly timeoutSeconds?: number;
}

const FIELD_VALIDATION: readonly FieldValidation[] = ["Ignore", "Strict", "Warn"];
const MAX_FIELD_MANAGER = 128;

/** `kind` names the options in error texts: `CreateOptions`, `UpdateOptions`, `PatchOptions`. */
export function writeOptions(query: URLSearchParams, kind: string): WriteRequestOptions {
  const validation = query.get("fieldValidation") ?? "";
  const fieldManager = query.get("fieldManager") ?? "";
  const errors = [...dryRunErrors(query.getAll("dryRun"))];
  if (validation !== "" && !isFieldValidation(validation)) {
    errors.push(notSupported("fieldValidation", validation, FIELD_VALIDATION));
  }
  if (Buffer.byteLength(fieldManager) > MAX_FIELD_MANAGER)
    errors.push(tooLong("fieldManager", MAX_FIELD_MANAGER));
  errors.push(...unprintable(fieldManager));
  refuse(kind, errors);
  const force = query.get("force");
  return {
    dryRun: query.has("dryRun"),
    // The real server warns unless asked for more or less.
    fieldValidation: isFieldValidation(validation) ? validation : "Warn",
    ...(fieldManager === "" ? {} : { fieldManager }),
    ...(force === null ? {} : { force: asBoolean(force) }),
  };
}

/** `ValidateFieldManager`: positions are those of bytes. */
function unprintable(manager: string): FieldError[] {
  const errors: FieldError[] = [];
  let position = 0;
  for (const character of manager) {
    if (!/^[\p{L}\p{M}\p{N}\p{P}\p{S} ]$/u.test(character)) {
      const code = (character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0");
      const why = `invalid character U+${code} (at position ${position}), should only contain printable characters`;
      errors.push(invalid("fieldManager", manager, why));
    }
    position += Buffer.byteLength(character);
  }
  return errors;
}

/** Of a patch; an apply is one that says who applies, and that may take over by force (apimachinery `ValidatePatchOptions`). */
export function patchOptions(query: URLSearchParams, isApply: boolean): WriteRequestOptions {
  const options = writeOptions(query, "PatchOptions");
  const { fieldManager, force } = options;
  const errors: FieldError[] = [];
  if (!isApply && force !== undefined)
    errors.push(forbidden("force", "may not be specified for non-apply patch"));
  if (isApply && fieldManager === undefined)
    errors.push(required("fieldManager", "is required for apply patch"));
  refuse("PatchOptions", errors);
  return options;
}

function isFieldValidation(text: string): text is FieldValidation {
  return FIELD_VALIDATION.some((known) => known === text);
}

export function dryRunErrors(values: readonly unknown[]): FieldError[] {
  const isAll = values.every((value) => value === "All");
  return isAll ? [] : [notSupported("dryRun", values, ["All"])];
}

/** Throws `Invalid` for options of a `meta.k8s.io` kind when there are errors. */
export function refuse(kind: string, errors: readonly FieldError[]): void {
  if (errors.length > 0) throw invalidObject({ group: "meta.k8s.io", kind, name: "" }, errors);
}

export function listOptions(query: URLSearchParams): ListRequestOptions {
  const limit = integer(query, "limit");
  const timeoutSeconds = integer(query, "timeoutSeconds");
  const text = (name: string) => query.get(name) ?? "";
  const sendInitialEvents = query.get("sendInitialEvents");
  const match = text("resourceVersionMatch");
  const options = {
    labelSelector: text("labelSelector"),
    fieldSelector: text("fieldSelector"),
    watch: asBoolean(query.get("watch") ?? "false"),
    allowWatchBookmarks: asBoolean(query.get("allowWatchBookmarks") ?? "false"),
    ...(limit === undefined ? {} : { limit }),
    ...(timeoutSeconds === undefined ? {} : { timeoutSeconds }),
    ...(text("continue") === "" ? {} : { continue: text("continue") }),
    ...(text("resourceVersion") === "" ? {} : { resourceVersion: text("resourceVersion") }),
    ...(sendInitialEvents === null ? {} : { sendInitialEvents: asBoolean(sendInitialEvents) }),
  };
  refuse("ListOptions", options.watch ? watchErrors(options, match) : listErrors(options, match));
  if (match === "Exact" || match === "NotOlderThan") return { ...options, resourceVersionMatch: match };
  return options;
}

const MATCHES = ["Exact", "NotOlderThan", ""] as const;
const MATCH = "resourceVersionMatch";

type Unmatched = Omit<ListRequestOptions, "resourceVersionMatch">;

/** apimachinery `ValidateListOptions`. */
function listErrors(options: Unmatched, match: string): FieldError[] {
  const errors: FieldError[] = [];
  if (match !== "") {
    if (options.resourceVersion === undefined) {
      errors.push(forbidden(MATCH, "resourceVersionMatch is forbidden unless resourceVersion is provided"));
    }
    if (options.continue !== undefined) {
      errors.push(forbidden(MATCH, "resourceVersionMatch is forbidden when continue is provided"));
    }
    if (!MATCHES.some((known) => known === match)) errors.push(notSupported(MATCH, match, MATCHES));
    if (match === "Exact" && options.resourceVersion === "0") {
      errors.push(forbidden(MATCH, 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'));
    }
  }
  if (options.sendInitialEvents !== undefined) {
    errors.push(forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"));
  }
  return errors;
}

/** apimachinery `validateWatchOptions`. */
function watchErrors(options: Unmatched, match: string): FieldError[] {
  const errors: FieldError[] = [];
  if (options.sendInitialEvents !== undefined && match !== "NotOlderThan") {
    errors.push(forbidden(MATCH, "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"));
  }
  if (match === "") return errors;
  if (options.sendInitialEvents === undefined) {
    errors.push(
      forbidden(MATCH, "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"),
    );
  }
  if (match !== "NotOlderThan") errors.push(notSupported(MATCH, match, ["NotOlderThan"]));
  if (options.continue !== undefined) {
    errors.push(forbidden(MATCH, "resourceVersionMatch is forbidden when continue is provided"));
  }
  return errors;
}

/** Go's `Convert_Slice_string_To_bool`: everything but `false` and `0` is true, also the empty string. */
export function asBoolean(text: string): boolean {
  return !["false", "0"].includes(text.toLowerCase());
}

/** A 64-bit integer; `BadRequest` in the words of Go's strconv. */
export function integer(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name) ?? "";
  if (text === "") return undefined;
  const parsed = (why: string) =>
    new StatusError("BadRequest", `strconv.ParseInt: parsing ${goQuote(text)}: ${why}`);
  if (!/^[+-]?\d+$/.test(text)) throw parsed("invalid syntax");
  const value = Number(text);
  if (Math.abs(value) > Number.MAX_SAFE_INTEGER) throw parsed("value out of range");
  return value;
}
