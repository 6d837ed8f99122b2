/**
 * Makes X.509 certificates with ECDSA P-256 keys: a certificate authority, and servers signed by it. Its libraries take
 * longer to load than the rest of a start: import it only when a certificate must be made.
 */
// First, and for its effect: the dependency injection of the next one reads decorator metadata while it loads.
// oxlint-disable-next-line import/no-unassigned-import -- it adds to `Reflect`
import "reflect-metadata";
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  Name,
  PemConverter,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  type X509Certificate,
  X509CertificateGenerator,
} from "@peculiar/x509";
import { isIP } from "node:net";

/** PEM texts; `key` is PKCS #8. */
export interface CertifiedKey {
  readonly certificate: string;
  readonly key: string;
}

export interface Authority extends CertifiedKey {
  readonly commonName: string;
  readonly keys: CryptoKeyPair;
}

export interface CertificateRequest {
  readonly commonName: string;
  /** Milliseconds since the epoch; certificates hold whole seconds. */
  readonly notBefore: number;
  readonly notAfter: number;
}

export interface ServerRequest extends CertificateRequest {
  /** DNS names and IP addresses. */
  readonly names: readonly string[];
  readonly issuer: Authority;
}

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;

export async function createAuthority(request: CertificateRequest): Promise<Authority> {
  const keys = await newKeys();
  const certificate = await X509CertificateGenerator.createSelfSigned({
    name: distinguishedName(request.commonName),
    keys,
    signingAlgorithm: ALGORITHM,
    ...validity(request),
    extensions: [
      new BasicConstraintsExtension(true, undefined, true),
      new KeyUsagesExtension(
        KeyUsageFlags.digitalSignature | KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign,
        true,
      ),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { ...(await pemTexts(certificate, keys)), commonName: request.commonName, keys };
}

export async function createServerCertificate({ issuer, ...request }: ServerRequest): Promise<CertifiedKey> {
  const keys = await newKeys();
  const certificate = await X509CertificateGenerator.create({
    subject: distinguishedName(request.commonName),
    issuer: distinguishedName(issuer.commonName),
    publicKey: keys.publicKey,
    signingKey: issuer.keys.privateKey,
    signingAlgorithm: ALGORITHM,
    ...validity(request),
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
      await AuthorityKeyIdentifierExtension.create(issuer.keys.publicKey),
      new SubjectAlternativeNameExtension(request.names.map(alternativeName)),
    ],
  });
  return pemTexts(certificate, keys);
}

async function newKeys(): Promise<CryptoKeyPair> {
  return crypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
}

async function pemTexts(certificate: X509Certificate, { privateKey }: CryptoKeyPair): Promise<CertifiedKey> {
  const key = await crypto.subtle.exportKey("pkcs8", privateKey);
  return {
    certificate: `${certificate.toString("pem")}\n`,
    key: `${PemConverter.encode(key, "PRIVATE KEY")}\n`,
  };
}

/** As a structure: in a text the characters `,=+` would mean something. */
function distinguishedName(commonName: string): Name {
  return new Name([{ CN: [{ utf8String: commonName }] }]);
}

function alternativeName(value: string): { readonly type: "ip" | "dns"; readonly value: string } {
  return { type: isIP(value) === 0 ? "dns" : "ip", value };
}

function validity({ notBefore, notAfter }: CertificateRequest): { notBefore: Date; notAfter: Date } {
  return { notBefore: wholeSeconds(notBefore), notAfter: wholeSeconds(notAfter) };
}

/** RFC 5280 4.1.2.5.2 forbids the fractions that the library would write into a GeneralizedTime. */
function wholeSeconds(milliseconds: number): Date {
  return new Date(Math.floor(milliseconds / 1000) * 1000);
}
