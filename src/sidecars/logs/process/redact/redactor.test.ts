import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { Problem } from "../../../../kernel/problem.ts";
import { FakeCounter, recordOf } from "../process.test-support.ts";
import { createRedactor, type RedactorOptions } from "./redactor.ts";

const VISA = "4111111111111111";

function redactorOf(redactions: RedactorOptions["redactions"], monotonic = () => 0) {
  const redacted = new FakeCounter();
  const redact = createRedactor({ redactions, redacted, monotonic });
  return {
    counts: redacted.counts,
    redact: (text: string, fields: Record<string, unknown> = { message: text }) => {
      const record = recordOf(text, fields);
      redact(record);
      return { text: record.text, fields: record.fields };
    },
  };
}

describe("redact()", () => {
  test("masks the text and the same text as a field, and counts it once", () => {
    const { redact, counts } = redactorOf(["cards", "email"]);
    expect(redact(`a@b.co ${VISA} ${VISA}`)).toEqual({
      text: "[redacted:email] [redacted:cards] [redacted:cards]",
      fields: { message: "[redacted:email] [redacted:cards] [redacted:cards]" },
    });
    expect(counts).toEqual({ cards: 2, email: 1 });
  });

  test("masks values at any depth, in lists too, and leaves names alone", () => {
    const text = '{"a":{"b":["x@y.zz",{"c@d.ee":"e@f.gg"}]},"n":1,"t":true,"z":null}';
    expect(redactorOf(["email"]).redact(text, JSON.parse(text)).fields).toEqual({
      a: { b: ["[redacted:email]", { "c@d.ee": "[redacted:email]" }] },
      n: 1,
      t: true,
      z: null,
    });
  });

  test("masks what escapes hide in the text", () => {
    const text = String.raw`{"mail":"a\u0040b.co","card":"4111\u0031111 11111111"}`;
    const { fields } = redactorOf(["email", "keys"]).redact(text, JSON.parse(text));
    expect(fields["mail"]).toBe("[redacted:email]");
    const hidden = String.raw`{"\u0070assword":"hunter2"}`;
    expect(redactorOf(["keys"]).redact(hidden, JSON.parse(hidden)).fields).toEqual({
      password: "[redacted:keys]",
    });
  });

  test("masks a field called __proto__", () => {
    const text = '{"__proto__":"a@b.co"}';
    const { fields } = redactorOf(["email"]).redact(text, JSON.parse(text));
    expect(JSON.stringify(fields)).toBe('{"__proto__":"[redacted:email]"}');
  });

  test("masks numbers that are cards, also where their last digits are lost to the precision of numbers", () => {
    const text = `{"a":${VISA},"b":6304000000000000000,"c":1793354400000,"d":0.${VISA}}`;
    const { fields } = redactorOf(["cards"]).redact(text, JSON.parse(text));
    expect(fields).toEqual({
      a: "[redacted:cards]",
      b: "[redacted:cards]",
      c: 1793354400000,
      d: Number(`0.${VISA}`),
    });
  });

  test("masks whatever a field with the name of a secret holds", () => {
    const text = 'password=hunter2 accessToken=[1] n="x"';
    const fields = {
      password: "hunter2",
      accessToken: ["t", 1],
      "x-api-key": 42,
      secret: "",
      user: "u",
      tokens: 15,
    };
    expect(redactorOf(["keys"]).redact(text, fields).fields).toEqual({
      password: "[redacted:keys]",
      accessToken: ["[redacted:keys]", "[redacted:keys]"],
      "x-api-key": "[redacted:keys]",
      secret: "",
      user: "u",
      tokens: 15,
    });
  });

  test("does not mask a mask again, whichever comes first", () => {
    const token = `${Buffer.from('{"alg":"none"}').toString("base64url")}.e30.x`;
    const text = `{"token":"${token}","authorization":"Bearer ${token}"}`;
    const { redact, counts } = redactorOf([{ name: "jwt", with: "***" }, "keys"]);
    expect(redact(text, JSON.parse(text))).toEqual({
      text: '{"token":"***","authorization":"Bearer ***"}',
      fields: { token: "***", authorization: "[redacted:keys]" },
    });
    expect(counts).toEqual({ jwt: 2, keys: 1 });
  });

  test("keeps the last digits of cards when asked, and masks with the words it is given", () => {
    expect(
      redactorOf([{ name: "cards", with: "card ", keepLast: 4 }]).redact("4111-1111-1111-1111.").text,
    ).toBe("card 1111.");
  });

  test("does nothing to records without secrets", () => {
    const { redact, counts } = redactorOf(["cards", "jwt", "keys", "email", "iban"]);
    const fields = { status: 200, path: "/healthz" };
    expect(redact('10.0.0.1 "GET /healthz" 200', fields)).toEqual({
      text: '10.0.0.1 "GET /healthz" 200',
      fields,
    });
    expect(counts).toEqual({});
  });

  test("leaves the pod's own object, shared by all records, as it is", () => {
    const pod = Object.freeze({ name: "a@b.co" });
    const { fields } = redactorOf(["email"]).redact("x@y.zz", { message: "x@y.zz", pod });
    expect(fields["pod"]).toBe(pod);
  });

  test("survives fields as deep as a line is long", () => {
    const depth = 100_000;
    let deep: unknown = "a@b.co";
    for (let level = 0; level < depth; level++) deep = [deep];
    redactorOf(["email"]).redact("a@b.co", { deep });
    for (let level = 0; level < depth; level++) deep = Array.isArray(deep) ? deep[0] : deep;
    expect(deep).toBe("[redacted:email]");
  });
});

describe("a user's pattern", () => {
  test("masks its matches in text, fields and numbers", () => {
    const ssn = { name: "ssn", pattern: String.raw`\d{3}-\d{2}-\d{4}`, with: "***" };
    const id = { name: "id", pattern: "77[0-9]{4}" };
    expect(redactorOf([ssn, id]).redact("123-45-6789 of 771234", { a: "123-45-6789", b: 771234 })).toEqual({
      text: "*** of [redacted:id]",
      fields: { a: "***", b: "[redacted:id]" },
    });
  });

  test("with anchors is tried on every field, whatever the text says", () => {
    const { redact, counts } = redactorOf([{ name: "pin", pattern: "^[0-9]{4}$" }]);
    expect(redact("pin=1234", { pin: "1234" })).toEqual({
      text: "pin=1234",
      fields: { pin: "[redacted:pin]" },
    });
    expect(counts).toEqual({ pin: 1 });
  });

  test("that looks to the end from every match masks the rest when it takes too long", () => {
    let now = 0;
    const { redact } = redactorOf([{ name: "slow", pattern: "[0-9]+x|1", with: "#" }], () => (now += 20));
    const { text } = redact(`${"1".repeat(1_000)} and more`);
    expect(text).toMatch(/^#+$/);
  });
});

describe("the self-test at the start", () => {
  const problemOf = (redactions: RedactorOptions["redactions"]) => {
    try {
      redactorOf(redactions);
    } catch (error) {
      return error;
    }
    return undefined;
  };

  test("passes for all that is built in, with any mask", () => {
    expect(problemOf(["cards", "jwt", { name: "keys", with: "" }, "email", "iban"])).toBeUndefined();
  });

  test("refuses a pattern that does not find its own sample, and does not repeat the sample", () => {
    const problem = problemOf(["email", { name: "ssn", pattern: "\\d{9}", sample: "123-45-6789" }]);
    expect(problem).toBeInstanceOf(Problem);
    expect(problem).toMatchObject({
      code: "E_REDACTION",
      message: 'Cannot redact "ssn": it finds nothing in its sample 1',
      fix: 'correct "pattern" or "sample" of entry 2 of "redact"',
    });
  });
});

test("no secret is left anywhere in a record, wherever it stands", () => {
  const { redact } = redactorOf(["cards", "email"]);
  const filler = fc.string().map((text) => text.replaceAll(/[\w.@%+-]/g, ""));
  const secret = fc.constantFrom(VISA, "jane@example.org");
  fc.assert(
    fc.property(fc.array(fc.tuple(filler, secret), { minLength: 1 }), (parts) => {
      const values = parts.map(([before, value]) => `${before} ${value} ${before}`);
      const fields = { list: values, nested: { last: values.at(-1) } };
      const text = JSON.stringify(fields);
      const masked = JSON.stringify(redact(text, fields));
      expect(masked).not.toContain(VISA);
      expect(masked).not.toContain("jane");
    }),
  );
});
