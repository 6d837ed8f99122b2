/** What is wrong with which field, in the words of the real API server (apimachinery `util/validation/field`). */
import { goJson, goQuote } from "./go-format.ts";
import { StatusError } from "./status-error.ts";

const HEADLINE = {
  FieldValueNotFound: "Not found",
  FieldValueRequired: "Required value",
  FieldValueDuplicate: "Duplicate value",
  FieldValueInvalid: "Invalid value",
  FieldValueTypeInvalid: "Invalid value",
  FieldValueNotSupported: "Unsupported value",
  FieldValueForbidden: "Forbidden",
  FieldValueTooLong: "Too long",
  FieldValueTooMany: "Too many",
} as const;

export type FieldErrorType = keyof typeof HEADLINE;

/** `field` is a path such as `spec.containers[0].image`; `body` is the message without it. */
export interface FieldError {
  readonly type: FieldErrorType;
  readonly field: string;
  readonly body: string;
}

function make(type: FieldErrorType, field: string, parts: readonly string[]): FieldError {
  return { type, field, body: [HEADLINE[type], ...parts.filter((part) => part !== "")].join(": ") };
}

function printed(value: unknown): string {
  return typeof value === "string" ? goQuote(value) : goJson(value);
}

export function required(field: string, detail = ""): FieldError {
  return make("FieldValueRequired", field, [detail]);
}

export function invalid(field: string, value: unknown, detail: string): FieldError {
  return make("FieldValueInvalid", field, [printed(value), detail]);
}

/** A value of another type than its schema says. */
export function typeInvalid(field: string, value: unknown, detail: string): FieldError {
  return make("FieldValueTypeInvalid", field, [printed(value), detail]);
}

export function duplicate(field: string, value: unknown): FieldError {
  return make("FieldValueDuplicate", field, [printed(value)]);
}

export function notFound(field: string, value: unknown): FieldError {
  return make("FieldValueNotFound", field, [printed(value)]);
}

export function forbidden(field: string, detail: string): FieldError {
  return make("FieldValueForbidden", field, [detail]);
}

/** `supported` is printed in the given order; Kubernetes sorts it nearly everywhere. */
export function notSupported(field: string, value: unknown, supported: readonly string[]): FieldError {
  const detail = supported.length === 0 ? "" : `supported values: ${supported.map(goQuote).join(", ")}`;
  return make("FieldValueNotSupported", field, [printed(value), detail]);
}

/** `maxBytes` as in "may not be more than 63 bytes"; the value itself is not printed. */
export function tooLong(field: string, maxBytes: number): FieldError {
  return make("FieldValueTooLong", field, [
    `may not be more than ${maxBytes} ${maxBytes === 1 ? "byte" : "bytes"}`,
  ]);
}

export function tooMany(field: string, actual: number, max: number): FieldError {
  const detail = `must have at most ${max} ${max === 1 ? "item" : "items"}`;
  return make("FieldValueTooMany", field, [String(actual), detail]);
}

/** One `invalid` per message: the shape in which the name checks answer. */
export function invalidEach(field: string, value: unknown, messages: readonly string[]): FieldError[] {
  return messages.map((message) => invalid(field, value, message));
}

/** `field.ErrorList.ToAggregate().Error()`: one message alone, several in brackets, doubles once. */
export function formatFieldErrors(errors: readonly FieldError[]): string {
  const messages = [...new Set(errors.map((error) => `${error.field}: ${error.body}`))];
  return messages.length === 1 ? (messages[0] ?? "") : `[${messages.join(", ")}]`;
}

export interface InvalidObject {
  readonly group: string;
  readonly kind: string;
  readonly name: string;
}

/** apimachinery `errors.NewInvalid`: 422 with all causes, which kubectl prints as a list. */
export function invalidObject(
  { group, kind, name }: InvalidObject,
  errors: readonly FieldError[],
): StatusError {
  const qualified = group === "" ? kind : `${kind}.${group}`;
  const message = `${qualified} ${goQuote(name)} is invalid`;
  return new StatusError(
    "Invalid",
    errors.length === 0 ? message : `${message}: ${formatFieldErrors(errors)}`,
    {
      name,
      ...(group === "" ? {} : { group }),
      kind,
      causes: errors.map(({ type, body, field }) => ({ reason: type, message: body, field })),
    },
  );
}
