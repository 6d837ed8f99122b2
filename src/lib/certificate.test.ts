import { createPrivateKey, X509Certificate } from "node:crypto";
import { describe, expect, test } from "bun:test";
import { createAuthority, createServerCertificate } from "./certificate.ts";

const VALIDITY = { notBefore: Date.UTC(2026, 0, 1), notAfter: Date.UTC(2036, 0, 1) };

function authority(commonName = "test-ca") {
  return { ...createAuthority({ commonName, ...VALIDITY }), commonName };
}

describe("createServerCertificate()", () => {
  test("is signed by its authority, for its names, with its key", () => {
    const issuer = authority();
    const server = createServerCertificate({
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
      isSigned: parsed.verify(new X509Certificate(issuer.certificate).publicKey),
      isSignedByAnother: parsed.verify(new X509Certificate(authority().certificate).publicKey),
    }).toEqual({
      subject: "CN=server",
      issuer: "CN=test-ca",
      names: "IP Address:127.0.0.1, DNS:localhost, DNS:a.example",
      isAuthority: false,
      validFrom: VALIDITY.notBefore,
      validTo: VALIDITY.notAfter,
      hasKey: true,
      isSigned: true,
      isSignedByAnother: false,
    });
  });

  test("never makes the same serial number twice", () => {
    const serials = new Set(
      Array.from({ length: 20 }, () => new X509Certificate(authority().certificate).serialNumber),
    );
    expect(serials.size).toBe(20);
  });
});

describe("createAuthority()", () => {
  test("may sign certificates, its own among them", () => {
    const { certificate } = authority("root");
    const parsed = new X509Certificate(certificate);
    expect([parsed.ca, parsed.subject, parsed.verify(parsed.publicKey)]).toEqual([true, "CN=root", true]);
  });

  test("writes years from 2050 on as GeneralizedTime", () => {
    const notAfter = Date.UTC(2061, 5, 7, 8, 9, 10);
    const { certificate } = createAuthority({ commonName: "x", notBefore: VALIDITY.notBefore, notAfter });
    expect(Date.parse(new X509Certificate(certificate).validTo)).toBe(notAfter);
  });
});
