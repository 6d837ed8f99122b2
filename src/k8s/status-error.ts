/** Failures as the Kubernetes API reports them: a `Status` object with a reason that clients switch on. */

/** `metav1.StatusReason` values that Pillion answers with, and their HTTP codes (apimachinery `meta/v1/types.go`). */
const HTTP_CODE = {
  BadRequest: 400,
  Unauthorized: 401,
  Forbidden: 403,
  NotFound: 404,
  MethodNotAllowed: 405,
  NotAcceptable: 406,
  AlreadyExists: 409,
  Conflict: 409,
  Gone: 410,
  Expired: 410,
  RequestEntityTooLarge: 413,
  UnsupportedMediaType: 415,
  Invalid: 422,
  TooManyRequests: 429,
  InternalError: 500,
  /** What the real server does not name: its `Status` has no reason. */
  Unknown: 500,
  ServiceUnavailable: 503,
  Timeout: 504,
} as const;

export type StatusReason = keyof typeof HTTP_CODE;

export interface StatusCause {
  readonly reason?: string;
  readonly message: string;
  /** JSON path of the field at fault, for example `spec.containers[0].image`. */
  readonly field?: string;
}

export interface StatusDetails {
  readonly name?: string;
  readonly group?: string;
  readonly kind?: string;
  readonly uid?: string;
  readonly causes?: readonly StatusCause[];
  readonly retryAfterSeconds?: number;
}

/** Thrown by the store and the API alike; the API turns it into the HTTP answer. */
export class StatusError extends Error {
  readonly reason: StatusReason;
  readonly details: StatusDetails | undefined;

  constructor(reason: StatusReason, message: string, details?: StatusDetails) {
    super(message);
    this.name = "StatusError";
    this.reason = reason;
    this.details = details;
  }

  get httpCode(): number {
    return HTTP_CODE[this.reason];
  }

  /** The `v1.Status` body. */
  toStatus(): Record<string, unknown> {
    return {
      kind: "Status",
      apiVersion: "v1",
      metadata: {},
      status: "Failure",
      message: this.message,
      ...(this.reason === "Unknown" ? {} : { reason: this.reason }),
      ...(this.details === undefined ? {} : { details: this.details }),
      code: this.httpCode,
    };
  }
}
