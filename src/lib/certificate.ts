/** Makes X.509 certificates (RFC 5280) with ECDSA P-256 keys: a certificate authority, and servers signed by it. */
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  randomBytes,
  sign,
} from "node:crypto";
import { isIP } from "node:net";
import {
  derBitString,
  derElement,
  derInteger,
  derObjectIdentifier,
  derOctetString,
  derSequence,
  derSet,
  derTime,
  derTrue,
  derUtf8String,
} from "./der.ts";

/** PEM texts; `key` is PKCS #8. */
export interface CertifiedKey {
  readonly certificate: string;
  readonly key: string;
}

export interface CertificateRequest {
  readonly commonName: string;
  /** Milliseconds since the epoch. */
  readonly notBefore: number;
  readonly notAfter: number;
}

export interface ServerRequest extends CertificateRequest {
  /** DNS names and IPv4 addresses. */
  readonly names: readonly string[];
  /** The authority that signs, and the name it carries. */
  readonly issuer: CertifiedKey & { readonly commonName: string };
}

const OID = {
  ecdsaWithSha256: "1.2.840.10045.4.3.2",
  commonName: "2.5.4.3",
  subjectKeyIdentifier: "2.5.29.14",
  keyUsage: "2.5.29.15",
  subjectAltName: "2.5.29.17",
  basicConstraints: "2.5.29.19",
  authorityKeyIdentifier: "2.5.29.35",
  extendedKeyUsage: "2.5.29.37",
  serverAuth: "1.3.6.1.5.5.7.3.1",
} as const;

/** digitalSignature, keyCertSign and cRLSign; one bit of the octet is not used. */
const AUTHORITY_USAGE = derBitString(Buffer.from([0b1000_0110]), 1);
const SERVER_USAGE = derBitString(Buffer.from([0b1000_0000]), 7);

export function createAuthority(request: CertificateRequest): CertifiedKey {
  const { key, spki } = newKey();
  const extensions = [
    extension(OID.basicConstraints, derSequence(derTrue()), { critical: true }),
    extension(OID.keyUsage, AUTHORITY_USAGE, { critical: true }),
    extension(OID.subjectKeyIdentifier, derOctetString(keyIdentifier(spki))),
  ];
  return { certificate: certify({ ...request, spki, extensions, issuerName: request.commonName, key }), key };
}

export function createServerCertificate(request: ServerRequest): CertifiedKey {
  const { key, spki } = newKey();
  const issuerSpki = createPublicKey(createPrivateKey(request.issuer.key)).export({
    type: "spki",
    format: "der",
  });
  const extensions = [
    extension(OID.basicConstraints, derSequence(), { critical: true }),
    extension(OID.keyUsage, SERVER_USAGE, { critical: true }),
    extension(OID.extendedKeyUsage, derSequence(derObjectIdentifier(OID.serverAuth))),
    extension(OID.authorityKeyIdentifier, derSequence(derElement(0x80, keyIdentifier(issuerSpki)))),
    extension(OID.subjectAltName, derSequence(...request.names.map(generalName))),
  ];
  const issuerName = request.issuer.commonName;
  return { certificate: certify({ ...request, spki, extensions, issuerName, key: request.issuer.key }), key };
}

function newKey(): { readonly key: string; readonly spki: Buffer } {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  return {
    key: privateKey.export({ type: "pkcs8", format: "pem" }),
    spki: publicKey.export({ type: "spki", format: "der" }),
  };
}

/** RFC 5280 4.2.1.2, method 1, over the whole SubjectPublicKeyInfo: any stable value will do. */
function keyIdentifier(spki: Uint8Array): Buffer {
  return createHash("sha1").update(spki).digest();
}

function extension(oid: string, value: Uint8Array, { critical = false } = {}): Buffer {
  return derSequence(derObjectIdentifier(oid), ...(critical ? [derTrue()] : []), derOctetString(value));
}

/** GeneralName: `[2]` dNSName, `[7]` iPAddress. */
function generalName(name: string): Buffer {
  return isIP(name) === 4
    ? derElement(0x87, Buffer.from(name.split(".").map(Number)))
    : derElement(0x82, Buffer.from(name, "ascii"));
}

function distinguishedName(commonName: string): Buffer {
  return derSequence(derSet(derSequence(derObjectIdentifier(OID.commonName), derUtf8String(commonName))));
}

interface Unsigned extends CertificateRequest {
  readonly issuerName: string;
  readonly spki: Uint8Array;
  readonly extensions: readonly Uint8Array[];
  /** The signer's. */
  readonly key: string;
}

function certify({ commonName, notBefore, notAfter, issuerName, spki, extensions, key }: Unsigned): string {
  const algorithm = derSequence(derObjectIdentifier(OID.ecdsaWithSha256));
  const serial = randomBytes(16);
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40; // Positive, and never shorter than 16 octets.
  const version3 = derElement(0xa0, derInteger(Buffer.from([2])));
  const body = derSequence(
    version3,
    derInteger(serial),
    algorithm,
    distinguishedName(issuerName),
    derSequence(derTime(new Date(notBefore)), derTime(new Date(notAfter))),
    distinguishedName(commonName),
    spki,
    derElement(0xa3, derSequence(...extensions)),
  );
  const signature = sign("sha256", body, { key: createPrivateKey(key), dsaEncoding: "der" });
  return pem("CERTIFICATE", derSequence(body, algorithm, derBitString(signature)));
}

function pem(label: string, der: Uint8Array): string {
  const lines = Buffer.from(der)
    .toString("base64")
    .match(/.{1,64}/g);
  return `-----BEGIN ${label}-----\n${(lines ?? []).join("\n")}\n-----END ${label}-----\n`;
}
