import { expect, test } from "bun:test";
import { tlsErrorText, wrongHost } from "./tls-error.ts";

const NAMES = "DNS:hook.default.svc, DNS:*.mesh.svc, IP Address:10.0.0.1, IP Address:0:0:0:0:0:0:0:1";

test.each<[string, string, string | undefined]>([
  ["hook.default.svc", NAMES, undefined],
  ["HOOK.default.svc.", NAMES, undefined],
  ["a.mesh.svc", NAMES, undefined],
  ["10.0.0.1", NAMES, undefined],
  ["::1", NAMES, undefined],
  ["a.b.mesh.svc", NAMES, "certificate is valid for hook.default.svc, *.mesh.svc, not a.b.mesh.svc"],
  ["mesh.svc", NAMES, "certificate is valid for hook.default.svc, *.mesh.svc, not mesh.svc"],
  ["10.0.0.2", NAMES, "certificate is valid for 10.0.0.1, 0:0:0:0:0:0:0:1, not 10.0.0.2"],
  [
    "10.0.0.1",
    "DNS:a.b.c",
    "cannot validate certificate for 10.0.0.1 because it doesn't contain any IP SANs",
  ],
  ["a.b.c", "IP Address:10.0.0.1", "certificate is not valid for any names, but wanted to match a.b.c"],
  ["a.b.c", "", "certificate is not valid for any names, but wanted to match a.b.c"],
])("%s by a certificate for %s", (host, subjectaltname, why) => {
  const prefix = "tls: failed to verify certificate: x509: ";
  expect(wrongHost(host, { subjectaltname })?.message).toBe(
    why === undefined ? undefined : `${prefix}${why}`,
  );
});

test("what is no matter of TLS has no words of TLS", () => {
  expect(tlsErrorText(Object.assign(new Error("no"), { code: "ECONNRESET" }))).toBeUndefined();
  expect(tlsErrorText(Object.assign(new Error("no"), { code: "toString" }))).toBeUndefined();
  expect(tlsErrorText("no")).toBeUndefined();
});
