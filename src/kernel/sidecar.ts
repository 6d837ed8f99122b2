/**
 * The contract that every kind of sidecar keeps. Its life, in order:
 *
 * 1. Its module is loaded, which has no effects.
 * 2. Its configuration is checked against `config`; metrics are declared.
 * 3. `start` is called. It resolves when the sidecar does its work, or rejects with what hinders it; then it is tried again
 *    with back-off.
 * 4. `signal` aborts: the sidecar finishes. Its reason is a `StopReason`. `done` resolves when nothing is left to do and no
 *    timer, socket, file handle or process of the sidecar remains.
 * 5. `deadline` aborts at the latest moment: the sidecar leaves everything as safe as it is and `done` resolves within 250 ms.
 *
 * One `AbortSignal` ends both halves: when `signal` aborts before `start` has resolved, `start` rejects promptly.
 */
import type { z } from "zod";
import type { DeadLetters } from "./dead-letters.ts";
import type { Gate } from "./health.ts";
import type { Host } from "./host.ts";
import type { Meter } from "./meter.ts";

/** Why a sidecar is told to finish. `shutdown`: the pod ends, bring everything home. `reload`: a successor takes over at once. */
export type StopReason = "shutdown" | "reload";

export interface SidecarContext<Metrics> {
  /** The sidecar's name in the configuration. */
  readonly name: string;
  readonly host: Host;
  readonly metrics: Metrics;
  /** Aborts when the sidecar is to finish; `reason` is a `StopReason`. */
  readonly signal: AbortSignal;
  /** Aborts when the pod has begun to terminate (its `preStop` hook ran): small batches, no new long work. Comes before `signal`, or never. */
  readonly hurry: AbortSignal;
  /** Aborts when there is no time left. Comes after `signal`, or never. */
  readonly deadline: AbortSignal;
  /** `pillion run --once`: do what there is to do, then let `done` resolve. */
  readonly once: boolean;
}

/** What is not delivered yet, for the container's termination message. */
export interface Undelivered {
  readonly records: number;
  readonly bytes: number;
  /** The part of it that is safe on disk, where the next container with the same volume delivers it. */
  readonly keptBytes: number;
}

export interface Running {
  /** Resolves when the sidecar has finished, rejects when it broke; then it is started again. */
  readonly done: Promise<void>;
  /** Cheap: asked several times a second while the process shuts down. */
  undelivered?(): Undelivered;
  readonly deadLetters?: DeadLetters;
  /** More for `pillion status`: plain JSON, no secrets. */
  status?(): Readonly<Record<string, unknown>>;
}

export interface SidecarDefinition<Schema extends z.ZodObject, Metrics> {
  /** A noun in kebab-case, the name of its folder. */
  readonly kind: string;
  /** One sentence for lists and the reference. */
  readonly summary: string;
  /** Strict, every field described. The keys `kind`, `gates` and `container` belong to the runtime. */
  readonly config: Schema;
  /** What its health means for the pod, unless the configuration says otherwise. */
  readonly gates: Gate;
  metrics(meter: Meter): Metrics;
  start(config: z.output<Schema>, context: SidecarContext<Metrics>): Promise<Running>;
}

/** A kind as the runtime sees it: its configuration has been checked with its own schema, so the types are gone. */
export interface Sidecar extends Omit<SidecarDefinition<z.ZodObject, unknown>, "start"> {
  start(config: unknown, context: SidecarContext<unknown>): Promise<Running>;
}

/** Makes a sidecar out of its definition. */
export function defineSidecar<Schema extends z.ZodObject, Metrics>(
  definition: SidecarDefinition<Schema, Metrics>,
): Sidecar {
  return definition;
}
