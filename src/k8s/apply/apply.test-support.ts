/** What the tests of ownership share: an object with its owners, and what managers do to it. */
import * as fc from "fast-check";
import type { JsonObject } from "../../lib/frozen-json.ts";
import { mergeTypeOf } from "../patch/merge-type.ts";
import { StatusError } from "../status-error.ts";
import { type Applied, applyFields } from "./apply-fields.ts";
import type { Owner, Owners } from "./owners.ts";
import { updateOwners } from "./update-owners.ts";

export const DEPLOYMENT = mergeTypeOf("apps/v1", "Deployment");
export const TIME = "2026-11-03T08:00:00Z";

export interface State {
  readonly object: JsonObject;
  readonly owners: Owners;
}

export const NOTHING: State = { object: { metadata: {} }, owners: [] };

export interface Turn {
  readonly manager: string;
  readonly subresource?: string;
  readonly force?: boolean;
}

export function ownerOf({ manager, subresource = "" }: Turn, operation: Owner["operation"]): Owner {
  return { manager, operation, apiVersion: "apps/v1", subresource };
}

export function apply({ object, owners }: State, turn: Turn, config: JsonObject): Applied {
  return applyFields({
    live: object,
    config,
    type: DEPLOYMENT,
    owners,
    owner: ownerOf(turn, "Apply"),
    time: TIME,
    force: turn.force === true,
  });
}

export function update(state: State, turn: Turn, object: JsonObject): State {
  const written = { before: state.object, after: object, type: DEPLOYMENT };
  const owners = updateOwners(state.owners, written, { owner: ownerOf(turn, "Update"), time: TIME });
  return { object, owners };
}

/** What a call throws. */
export function refusal(run: () => unknown): StatusError {
  try {
    run();
  } catch (error) {
    if (error instanceof StatusError) return error;
    throw error;
  }
  throw new Error("nothing was refused");
}

/** Manifests of a few fields of every topology. */
export const anyConfig: fc.Arbitrary<JsonObject> = fc
  .record(
    {
      labels: fc.dictionary(fc.constantFrom("a", "b", "constructor"), fc.constantFrom("1", "2")),
      finalizers: fc.uniqueArray(fc.constantFrom("x/a", "x/b")),
      replicas: fc.constantFrom(1, 2),
      selector: fc.constantFrom({ matchLabels: { a: "1" } }, { matchLabels: { b: "1" } }),
      containers: fc.uniqueArray(
        fc.record(
          {
            name: fc.constantFrom("a", "b", "c"),
            image: fc.constantFrom("x", "y"),
            args: fc.array(fc.constantFrom("1", "2"), { maxLength: 2 }),
            ports: fc.uniqueArray(
              fc.record(
                { containerPort: fc.constantFrom(1, 2), protocol: fc.constantFrom("TCP", "UDP") },
                { requiredKeys: ["containerPort", "protocol"] },
              ),
              { selector: (port) => `${port.containerPort}${port.protocol}` },
            ),
          },
          { requiredKeys: ["name"] },
        ),
        { selector: ({ name }) => name },
      ),
    },
    { requiredKeys: [] },
  )
  .map(({ labels, finalizers, containers, ...spec }) => ({
    metadata: {
      ...(labels === undefined ? {} : { labels }),
      ...(finalizers === undefined ? {} : { finalizers }),
      generateName: "x",
    },
    spec: {
      paused: true,
      ...spec,
      ...(containers === undefined ? {} : { template: { spec: { containers } } }),
    },
  }));
