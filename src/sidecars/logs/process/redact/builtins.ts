/** The patterns that come with Pillion, and samples that each must mask before it is trusted. */
import { cards } from "./cards.ts";
import type { Detector, Sample } from "./detector.ts";
import { email } from "./email.ts";
import { iban } from "./iban.ts";
import { jwt } from "./jwt.ts";
import { keys } from "./keys.ts";

export const BUILTIN_NAMES = ["cards", "jwt", "keys", "email", "iban"] as const;

export type BuiltinName = (typeof BUILTIN_NAMES)[number];

export const DETECTORS: Readonly<Record<BuiltinName, Detector>> = { cards, jwt, keys, email, iban };

/** Put together from pieces: none of them is to look like a secret of ours in this file. */
export const SAMPLES: Readonly<Record<BuiltinName, readonly Sample[]>> = {
  cards: [
    sample("paid with ", ["4111", "1111", "1111", "1111"].join("")),
    sample('{"card":"', ["5555", "5555", "5555", "4444"].join(" "), '"}'),
    sample("amex ", ["3782", "822463", "10005"].join("-"), " ok"),
  ],
  jwt: [sample("cookie sid=", token({ alg: "HS256", typ: "JWT" }, { sub: "1" }, "c2lnbmF0dXJl"), "; path=/")],
  keys: [
    sample("using ", ["AKIA", "ABCDEFGHIJKLMNOP"].join(""), " now"),
    sample("pushed with ", `ghp_${"a1B2".repeat(9)}`),
    sample("hook ", ["xoxb", "123456789012", "abcDEF".repeat(3)].join("-")),
    sample("map ", `AIza${"Sy0123456789_-abc".repeat(2)}X`),
    sample("charge ", `sk_live_${"a1B2".repeat(6)}`),
    sample("aws_secret_access_key = ", "wJalrXUtnFEMI/K7MDENG/bPxRfiCY".padEnd(40, "x")),
    sample('{"db":{"password":"', "correct horse", '"}}'),
    sample("GET /?access_token=", "d3adb33f", "&page=2"),
    sample("Authorization: Bearer ", "abc.def.ghi"),
    sample("dial postgres://app:", "hunter2", "@db:5432/app"),
    sample("", pem("MIIEvQIBADANBgkqhkiG9w0BAQEFAASC")),
  ],
  email: [sample("mail to ", ["jane.doe+news", "mail.example.org"].join("@"), ".")],
  iban: [
    sample("to ", ["DE89", "3704", "0044", "0532", "0130", "00"].join(""), " today"),
    sample("to ", ["GB82", "WEST", "1234", "5698", "7654", "32"].join(" ")),
  ],
};

function sample(before: string, secret: string, behind = ""): Sample {
  return { text: before + secret + behind, secret };
}

function token(header: object, claims: object, signature: string): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  return `${part(header)}.${part(claims)}.${signature}`;
}

function pem(body: string): string {
  const line = (word: string) => ["-----", word, " PRIVATE", " KEY-----"].join("");
  return `${line("BEGIN")}\n${body}\n${line("END")}`;
}
