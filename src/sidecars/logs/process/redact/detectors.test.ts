import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { type BuiltinName, BUILTIN_NAMES, DETECTORS, SAMPLES } from "./builtins.ts";
import { maskSpans } from "./patterns.ts";

/** What is found, in quotes. Secrets in this file are put together from pieces, so that no scanner takes them for ours. */
function mark(name: BuiltinName, text: string): string {
  const detector = DETECTORS[name];
  const spans = detector.find(text);
  if (spans.length > 0) expect(detector.mayHold(text)).toBe(true);
  return maskSpans(text, spans, (match) => `«${match}»`);
}

function expectFound(name: BuiltinName, marked: string): void {
  expect(mark(name, marked.replaceAll(/[«»]/g, ""))).toBe(marked);
}

const VISA = "4111111111111111";

describe("cards are found", () => {
  test.each([
    `«${VISA}»`,
    `card=«${VISA}», ok`,
    `card:«4111-1111-1111-1111».`,
    "«4111 1111 1111 1111» and «5555 5555 5555 4444»",
    "amex «3782 822463 10005» «378282246310005»",
    "diners «30569309025904» «3056-930902-5904»",
    "nineteen «6304 0000 0000 0000 000»",
    "thirteen «4222222222222»",
    "200 «4111111111111111» 512",
    "1234 «4111 1111 1111 1111» 1234",
    `{\\n«${VISA}»\\u003d«${VISA}»}`,
    `?pan%3D«${VISA}»&x=%20«${VISA}»&y=«4111+1111+1111+1111»`,
    "«4111%201111%201111%201111»",
    `mir «2200000000000004» jcb «3530111333300000» unionpay «6200000000000005»`,
    `x«${VISA}»x`,
  ])("%s", (marked) => expectFound("cards", marked));
});

describe("no cards are", () => {
  test.each([
    ["wrong check digits", "4111111111111112 4111 1111 1111 1112"],
    ["numbers of no issuer", "0000000000000000 1234567812345670"],
    ["longer runs of digits", `${VISA}0000 9${VISA}9`],
    ["hexadecimal words", `a${VISA} ${VISA}f trace=9b${VISA}`],
    ["fractions", `0.${VISA} ${VISA}.5`],
    ["rows of unrelated numbers", "41 1111 11111111 11"],
    ["mixed separators", "4111-1111 1111-1111"],
    [
      "times in milliseconds, microseconds and nanoseconds",
      "1793354400000 1793354400000000 1793354400000000000",
    ],
    ["dates and addresses", "2026-11-01 10:00:00 203.0.113.9 - - 550e8400-e29b-41d4-a716-446655440000"],
  ])("%s", (_, text) => expectFound("cards", text));
});

const HEADER = Buffer.from('{"alg":"HS256"}').toString("base64url");
const CLAIMS = Buffer.from('{"sub":"1"}').toString("base64url");

describe("JSON Web Tokens are found", () => {
  test.each([
    `token «${HEADER}.${CLAIMS}.abc_-1»`,
    `at the end of a sentence «${HEADER}.${CLAIMS}.abc».`,
    `unsigned «${HEADER}.${CLAIMS}.»`,
    `encrypted «${HEADER}.a.b.c.d».`,
    `behind another's head eyJ.«${HEADER}.${CLAIMS}.abc»`,
  ])("%s", (marked) => expectFound("jwt", marked));
});

describe("no JSON Web Tokens are", () => {
  test.each([
    ["two parts", `${HEADER}.${CLAIMS} `],
    ["a head that is no JSON", "eyJhbGciO.abc.def"],
    ["an empty second part", `${HEADER}..abc`],
    ["names in code", "eyJ.foo.bar"],
  ])("%s", (_, text) => expectFound("jwt", text));
});

/** Of the right form, and made up. */
const made = (...parts: string[]) => parts.join("");

describe("keys are found", () => {
  test.each([
    `id «${made("AKIA", "ABCDEFGHIJKLMNOP")}» «${made("ASIA", "ABCDEFGHIJKLMNOP")}»`,
    `«${made("ghp_", "a".repeat(36))}» «${made("github_pat_", "a_".repeat(20))}»`,
    `«${made("xoxb-", "1".repeat(12))}» «${made("AIza", "b".repeat(35))}» «${made("sk_live_", "c".repeat(24))}»`,
    "password=«hunter2» next",
    "password: «hunter2», next",
    "password= token= secret=«x» pwd = «y=»",
    'msg="x" DB_PASSWORD="«correct horse»" y',
    `{"password":"«a\\"b»","user":"x"}`,
    `{\\"password\\":\\"«a\\\\\\"b»\\",\\"x\\":1}`,
    "{'client_secret': '«s»'}",
    "accessToken => «t»",
    "GET /?api_key=«k»&page=2 HTTP/1.1",
    "q=access_token%3D«k»%26page%3D2",
    "User{password=«x», role=admin} Point(secret=«y»)",
    "x-api-key: «k»; q=1",
    "aws_secret_access_key = «wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY»",
    "Authorization: Bearer «abc.def»",
    "authorization=Basic%20«dXNlcjpwYXNz»",
    '"Authorization":«["Bearer abc"]»,"Accept":["x"]',
    "map[Authorization:«[Bearer abc]» Accept:[x]]",
    "mysql --password «hunter2» -h db",
    "sent bearer «abcdefghijklmnop» to it",
    "postgres://app:«p%40ss»@db:5432/app",
    'cut off: "token":"«abc def»',
    made("«-----BEGIN RSA PRIV", "ATE KEY-----\\nMIIE\\n-----END RSA PRIV", "ATE KEY-----» x"),
    made("«-----BEGIN PRIV", "ATE KEY-----\nMIIE\ncut off»"),
    "<password>«hunter2»</password>",
  ])("%s", (marked) => expectFound("keys", marked));
});

describe("no keys are", () => {
  test.each([
    ["names without a value", "password= token: secret="],
    ["literals", '{"token":null,"secret":true,"password":""} pwd=none'],
    ["other names", "tokens=15 keyboard: us passwords.txt tokenizer=x secretary: Ann"],
    ["objects, whose fields have names of their own", '"credentials":{"user":"x"}'],
    ["prefixes alone", "AKIA ghp_short xoxb- sk_live_ AIza task-force-management-committee-x"],
    ["addresses without a password", "https://example.com:8080/a@b redis://user@host/"],
    ["certificates", "-----BEGIN CERTIFICATE-----"],
  ])("%s", (_, text) => expectFound("keys", text));
});

describe("e-mail addresses are found", () => {
  test.each([
    "«a@b.co»",
    "<«jane.doe+x@mail.example.org»>, «o'hara@example.com».",
    "?email=«foo%40example.com»&x=%3D«bar%40example.com»",
    "{\\n«bob@example.com»}",
    "«müller@bücher.example» «x@xn--bcher-kva.xn--p1ai»",
    "«_x_@a-b.example»",
  ])("%s", (marked) => expectFound("email", marked));
});

describe("no e-mail addresses are", () => {
  test.each([
    ["packages and handles", "bun@1.4.5 @types/node user@localhost @ a@ @b.co"],
    ["pictures for dense screens", "/img/logo@2x.png"],
    ["domains without letters at the end", "x@1.2.3.4 x@a.b"],
  ])("%s", (_, text) => expectFound("email", text));
});

describe("bank account numbers are found", () => {
  test.each([
    "to «DE89370400440532013000» today",
    "«GB82 WEST 1234 5698 7654 32», «NO9386011117947»",
    "iban=«FR1420041010050500013M02606»&x=%3D«NL91ABNA0417164300»",
    "{\\n«BE68-5390-0754-7034»}",
  ])("%s", (marked) => expectFound("iban", marked));
});

describe("no bank account numbers are", () => {
  test.each([
    ["wrong check digits", "DE88370400440532013000"],
    ["unknown countries", "XX89370400440532013000"],
    ["wrong lengths", "DE8937040044053201300 DE893704004405320130000"],
    ["parts of words", "xDE89370400440532013000 DE89370400440532013000x"],
  ])("%s", (_, text) => expectFound("iban", text));
});

describe.each(BUILTIN_NAMES)("%s", (name) => {
  const detector = DETECTORS[name];
  const samples = SAMPLES[name].map(({ text }) => text);
  const alphabet = [
    ...samples,
    "@",
    ".",
    "-",
    "%",
    "[",
    "]",
    "{",
    "}",
    '"',
    "'",
    "=",
    " ",
    "\\",
    "%40",
    "password=",
    "eyJ",
    "://",
    "DE89",
    "4111",
    "é",
  ];
  const texts = fc.array(fc.constantFrom(...alphabet), { maxLength: 12 }).map((parts) => parts.join(""));

  test("gives spans that ascend, do not overlap and lie inside the text", () => {
    fc.assert(
      fc.property(texts, (text) => {
        const spans = detector.find(text);
        for (let index = 0; index < spans.length; index++) {
          expect(spans[index]).toBeGreaterThanOrEqual(spans[index - 1] ?? 0);
          if (index % 2 === 1) expect(spans[index]).toBeGreaterThan(spans[index - 1] ?? 0);
        }
        expect(spans.at(-1) ?? 0).toBeLessThanOrEqual(text.length);
      }),
    );
  });

  test("says of every text around what it finds that it may hold it", () => {
    fc.assert(
      fc.property(texts, fc.string(), fc.string(), (text, before, behind) => {
        if (detector.find(text).length > 0) expect(detector.mayHold(before + text + behind)).toBe(true);
      }),
    );
  });

  test("finds its samples wherever a space or a quote separates them", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...SAMPLES[name]),
        fc.string(),
        fc.constantFrom(" ", "\n", "\t"),
        (sample, other, space) => {
          const text = `${other.replaceAll(/\W/g, "")}${space}${sample.text}${space}`;
          expect(maskSpans(text, detector.find(text), () => "")).not.toContain(sample.secret);
        },
      ),
    );
  });
});

/** Texts that make careless patterns look at everything again from every place. */
const HOSTILE = [
  "1",
  "1 ",
  "4111 ",
  "41111111111111111111 ",
  "%20",
  "@",
  "a@",
  "a@b.",
  "%40",
  "a%40@",
  "eyJ",
  "eyJ.",
  "eyJhbGciOiJub25lIn0.",
  "eyJhbGciOiJub25lIn0.e.",
  "password",
  "password=",
  'password="',
  "password='",
  'password=\\"',
  "token=[",
  "--",
  "--password ",
  "-----BEGIN PRIVATE KEY",
  ")",
  "token=))",
  ",",
  "token=,a",
  "&",
  "bearer ",
  "authorization: ",
  "://",
  "://a:",
  "://a:b",
  "ghp_",
  "xoxb-",
  "AIza",
  "sk-",
  "AKIA",
  "DE89",
  "DE89 ",
  "AA",
  "a",
  " ",
  "\\",
  "[redacted:",
  "é",
];

describe.each(BUILTIN_NAMES)("%s", (name) => {
  test("takes time in proportion to the length of the text", () => {
    const slow = HOSTILE.filter((piece) => growth(name, piece) > 4);
    expect(slow).toEqual([]);
  });
});

/** How much more than 16 times as long a text 16 times as long takes: about 1 when linear, 16 when quadratic. */
function growth(name: BuiltinName, piece: string): number {
  const sizes = [2 ** 14, 2 ** 18];
  const [short = 1, long = 0] = sizes.map((size) => {
    const text = Buffer.from(piece.repeat(size / piece.length)).toString();
    return Math.min(
      ...[1, 2, 3].map(() => timeOf(() => DETECTORS[name].mayHold(text) && DETECTORS[name].find(text))),
    );
  });
  // Times too short to be told apart say nothing.
  return long < 5 ? 1 : long / Math.max(short, 0.05) / 16;
}

function timeOf(work: () => unknown): number {
  const start = performance.now();
  work();
  return performance.now() - start;
}
