/** Names for `metadata.generateName`, as `apiserver/pkg/storage/names` makes them. */
import { randomInt } from "node:crypto";

/** No vowels and nothing that looks alike, so that no name spells a word (apimachinery `util/rand`). */
const ALPHABET = "bcdfghjklmnpqrstvwxz2456789";
const RANDOM_LENGTH = 5;
const MAX_NAME_LENGTH = 63;

/** How often a taken name is answered with another one (`maxNameGenerationCreateAttempts`). */
export const MAX_NAME_ATTEMPTS = 8;

/** The prefix, cut so that the name fits a DNS label, and five random characters. */
export function generateName(prefix: string): string {
  const suffix = Array.from({ length: RANDOM_LENGTH }, () => ALPHABET[randomInt(ALPHABET.length)]);
  return prefix.slice(0, MAX_NAME_LENGTH - RANDOM_LENGTH) + suffix.join("");
}
