/** Which version of an API a client should prefer (apimachinery `version.CompareKubeAwareVersionStrings`). */

interface Ranked {
  /** 3 for `v1`, 2 for `v1beta1`, 1 for `v1alpha1`, 0 for any other name. */
  readonly stability: number;
  readonly major: number;
  readonly minor: number;
}

const STABILITY: Readonly<Record<string, number>> = { alpha: 1, beta: 2 };

function rank(version: string): Ranked {
  const match = /^v([1-9]\d*)(?:(alpha|beta)([1-9]\d*))?$/.exec(version);
  if (match === null) return { stability: 0, major: 0, minor: 0 };
  const [, major, word, minor] = match;
  return {
    stability: word === undefined ? 3 : (STABILITY[word] ?? 0),
    major: Number(major),
    minor: Number(minor ?? 0),
  };
}

/** Negative when `a` comes first: stable before beta before alpha, new before old, other names by the alphabet. */
export function compareVersions(a: string, b: string): number {
  const one = rank(a);
  const other = rank(b);
  const byRank = other.stability - one.stability || other.major - one.major || other.minor - one.minor;
  return byRank || (a < b ? -1 : a > b ? 1 : 0);
}
