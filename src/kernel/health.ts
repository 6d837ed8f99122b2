/** How a sidecar is, as probes and people see it. */

/** `ready`: does its work. `degraded`: works, but something needs care. `failing`: does not do its work. */
export type HealthState = "ready" | "degraded" | "failing";

export type Health =
  | { readonly state: "ready" }
  /** `because` is an error or a sentence; a `Problem` brings its fix along. Never holds a secret. */
  | { readonly state: "degraded" | "failing"; readonly because: unknown };

/**
 * What a sidecar's health means for its pod. `traffic`: failing takes the pod out of its Services (`/readyz`).
 * `start`: the main containers wait for the first success (`/startupz`). `none`: neither; health is only reported.
 */
export type Gate = "traffic" | "start" | "none";
