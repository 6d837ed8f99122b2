import { createPrivateKey, X509Certificate } from "node:crypto";
import { describe, expect, test } from "bun:test";
import { createAuthority, createServerCertificate } from "./make-certificates.ts";

const VALIDITY = { notBefore: Date.UTC(2026, 0, 1), notAfter: Date.UTC(2036, 0, 1) };

function authority(commonName = "test-ca") {
  return createAuthority({ commonName, ...VALIDITY });
}

describe("createServerCertificate()", () => {
  test("is signed by its authority, for its names, with its key", async () => {
    const issuer = await authority();
    const server = await createServerCertificate({
      commonName: "server",
      names: ["127.0.0.1", "localhost", "a.example"],
      issuer,
      ...VALIDITY,
    });
    const parsed = new X509Certificate(server.certificate);
    expect({
      subject: parsed.subject,
      issuer: parsed.issuer,
      names: parsed.subjectAltName,
      isAuthority: parsed.ca,
      validFrom: Date.parse(parsed.validFrom),
      validTo: Date.parse(parsed.validTo),
      hasKey: parsed.checkPrivateKey(createPrivateKey(server.key)),
      keyDetails: createPrivateKey(server.key).asymmetricKeyDetails,
      isIssued: parsed.checkIssued(new X509Certificate(issuer.certificate)),
      isSigned: parsed.verify(new X509Certificate(issuer.certificate).publicKey),
      isSignedByAnother: parsed.verify(new X509Certificate((await authority()).certificate).publicKey),
    }).toEqual({
      subject: "CN=server",
      issuer: "CN=test-ca",
      names: "IP Address:127.0.0.1, DNS:localhost, DNS:a.example",
      isAuthority: false,
      validFrom: VALIDITY.notBefore,
      validTo: VALIDITY.notAfter,
      hasKey: true,
      keyDetails: { namedCurve: "prime256v1" },
      isIssued: true,
      isSigned: true,
      isSignedByAnother: false,
    });
  });

  test("never makes the same serial number twice", async () => {
    const made = await Promise.all(Array.from({ length: 20 }, () => authority()));
    const serials = made.map(({ certificate }) => new X509Certificate(certificate).serialNumber);
    expect(new Set(serials).size).toBe(20);
  });
});

describe("createAuthority()", () => {
  test("may sign certificates, its own among them", async () => {
    const { certificate } = await authority("a, CN=b+c");
    const parsed = new X509Certificate(certificate);
    expect([parsed.ca, parsed.subject, parsed.verify(parsed.publicKey)]).toEqual([
      true,
      "CN=a\\, CN=b\\+c",
      true,
    ]);
  });

  test("writes years from 2050 on as GeneralizedTime without fractions", async () => {
    const notAfter = Date.UTC(2061, 5, 7, 8, 9, 10);
    const { certificate } = await createAuthority({
      commonName: "x",
      notBefore: VALIDITY.notBefore + 1,
      notAfter: notAfter + 999,
    });
    const parsed = new X509Certificate(certificate);
    expect(parsed.raw.toString("latin1")).toContain("\x18\x0f20610607080910Z");
    expect(Date.parse(parsed.validTo)).toBe(notAfter);
  });
});
