import { describe, expect, test } from "bun:test";
import { PodTokens, type TokenFacts } from "./pod-tokens.ts";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

function issuer() {
  const asked: unknown[] = [];
  let count = 0;
  const state = { fails: false, now: 0 };
  const facts: TokenFacts = {
    namespace: "default",
    serviceAccount: "sa",
    pod: { name: "p", uid: "u" },
    issueToken: (subject) => {
      if (state.fails) throw new Error("no");
      asked.push(subject);
      return { token: `t${++count}`, expiresAt: state.now + subject.expirationSeconds * 1000 };
    },
  };
  const tokens = new PodTokens();
  const get = (at: number, expirationSeconds = 3600, audience?: string) => {
    state.now = at;
    return tokens.get({ expirationSeconds, ...(audience === undefined ? {} : { audience }) }, facts, at);
  };
  return { asked, state, tokens, get };
}

describe("PodTokens", () => {
  test("binds a token to the pod, and keeps it for four fifths of its life [V15]", () => {
    const { asked, get, tokens } = issuer();
    expect(get(0)).toBe("t1");
    expect(asked).toEqual([
      {
        namespace: "default",
        serviceAccount: "sa",
        pod: { name: "p", uid: "u" },
        audiences: [],
        expirationSeconds: 3600,
      },
    ]);
    expect(tokens.refreshAt).toBe(0.8 * HOUR);
    expect(get(0.8 * HOUR - 1)).toBe("t1");
    expect(get(0.8 * HOUR)).toBe("t2");
  });

  test("keeps none longer than a day [V15]", () => {
    const { get } = issuer();
    expect(get(0, 30 * 86_400)).toBe("t1");
    expect(get(DAY - 1, 30 * 86_400)).toBe("t1");
    expect(get(DAY, 30 * 86_400)).toBe("t2");
  });

  test("has one for each audience", () => {
    const { get, asked } = issuer();
    expect([get(0), get(0, 3600, "vault"), get(0), get(0, 3600, "vault")]).toEqual(["t1", "t2", "t1", "t2"]);
    expect(asked).toHaveLength(2);
  });

  test("shows the old one while no new one can be had, and asks again later; never an expired one", () => {
    const { get, state, tokens } = issuer();
    get(0);
    state.fails = true;
    expect(get(0.9 * HOUR)).toBe("t1");
    expect(tokens.refreshAt).toBe(0.9 * HOUR + 10_000);
    expect(() => get(HOUR)).toThrow("no");
    state.fails = false;
    expect(get(HOUR)).toBe("t2");
  });

  test("says so when the cluster issues none", () => {
    const facts = {
      issueToken: undefined,
      namespace: "n",
      serviceAccount: "s",
      pod: { name: "p", uid: "u" },
    };
    expect(() => new PodTokens().get({ expirationSeconds: 600 }, facts, 0)).toThrow("issues no tokens");
    expect(new PodTokens().refreshAt).toBeUndefined();
  });
});
