/** Which version of an API comes first. */
import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { compareVersions } from "./version-order.ts";

test("stable before beta before alpha, new before old, the rest by name", () => {
  const wanted = [
    "v10",
    "v2",
    "v1",
    "v11beta2",
    "v10beta3",
    "v3beta1",
    "v12alpha1",
    "v11alpha2",
    "foo1",
    "foo10",
  ];
  fc.assert(
    fc.property(fc.shuffledSubarray(wanted, { minLength: wanted.length }), (shuffled) => {
      expect(shuffled.toSorted(compareVersions)).toEqual(wanted);
    }),
  );
});
