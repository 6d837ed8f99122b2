/**
 * The cluster's identity, kept across starts: its certificate authority, the API's certificate, the administrator's token, and
 * the key that signs the tokens of service accounts.
 */
import { createPrivateKey, generateKeyPairSync, randomBytes, X509Certificate } from "node:crypto";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { API_SERVER_NAMES } from "../../k8s/cluster-network.ts";
import { messageOf, Problem } from "../../kernel/problem.ts";
import { writeFileAtomic } from "../../lib/atomic-file.ts";

/** PEM texts; `authority` is the certificate that clients trust. */
export interface Pki {
  readonly authority: string;
  readonly certificate: string;
  readonly key: string;
  /** Bearer token of the cluster's administrator. */
  readonly token: string;
  /** Private key of the curve P-256 that signs the tokens of service accounts. */
  readonly tokenKey: string;
}

const DAY_MS = 86_400_000;
const LIFETIME_MS = 3_650 * DAY_MS;
/** Made anew when less than this is left. */
const REMAINING_MS = 30 * DAY_MS;
/** Clocks of virtual machines and containers differ a little from the clock that signed. */
const CLOCK_SKEW_MS = DAY_MS;
const TOKEN = /^[A-Za-z0-9_-]{43}$/;

const FILES = {
  authority: "ca.crt",
  authorityKey: "ca.key",
  certificate: "server.crt",
  key: "server.key",
  token: "token",
  tokenKey: "sa.key",
} as const;

/**
 * Reads the files of `folder`; what is missing, damaged, expired or does not belong together is made anew.
 * `extraNames` are further DNS names and IPv4 addresses the API answers under. `now` in milliseconds since the epoch.
 * `E_PKI` when the folder cannot be used.
 */
export async function openPki({
  folder,
  now,
  extraNames = [],
}: {
  readonly folder: string;
  readonly now: number;
  readonly extraNames?: readonly string[];
}): Promise<Pki> {
  const names = [...API_SERVER_NAMES, ...extraNames];
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const kept = readCertificates(folder);
    const isKept = kept !== undefined && isUsable(kept, { names, now });
    const certificates = isKept ? kept : await renewCertificates(folder, { names, now });
    return { ...certificates, token: openToken(folder), tokenKey: openTokenKey(folder) };
  } catch (cause) {
    throw new Problem({
      code: "E_PKI",
      message: `Cannot keep certificates in "${folder}": ${messageOf(cause)}`,
      fix: "Give this user the folder, or delete it: it is made anew at the next start",
      cause,
    });
  }
}

type Certificates = Omit<Pki, "token" | "tokenKey">;

function readText(folder: string, file: keyof typeof FILES): string | undefined {
  try {
    return readFileSync(join(folder, FILES[file]), "utf8");
  } catch {
    return undefined; // Missing or not readable as text: it is made anew, and writing it reports what is wrong.
  }
}

function readCertificates(folder: string): Certificates | undefined {
  const authority = readText(folder, "authority");
  const certificate = readText(folder, "certificate");
  const key = readText(folder, "key");
  if (authority === undefined || certificate === undefined || key === undefined) return undefined;
  return { authority, certificate, key };
}

function isUsable(
  { authority, certificate, key }: Certificates,
  { names, now }: { readonly names: readonly string[]; readonly now: number },
): boolean {
  try {
    const [issuer, server] = [new X509Certificate(authority), new X509Certificate(certificate)];
    const isCurrent = [issuer, server].every(
      (one) => Date.parse(one.validFrom) <= now && Date.parse(one.validTo) >= now + REMAINING_MS,
    );
    const alternatives = (server.subjectAltName ?? "").split(", ");
    const isNamed = new Set(alternatives.map((name) => name.slice(name.indexOf(":") + 1)));
    return (
      isCurrent &&
      server.checkPrivateKey(createPrivateKey(key)) &&
      server.verify(issuer.publicKey) &&
      names.every((name) => isNamed.has(name))
    );
  } catch {
    return false; // Not a certificate or not a key.
  }
}

async function renewCertificates(
  folder: string,
  { names, now }: { readonly names: readonly string[]; readonly now: number },
): Promise<Certificates> {
  // Here, not above: a start that finds its certificates does not load the libraries that make them.
  const { createAuthority, createServerCertificate } = await import("./make-certificates.ts");
  const validity = { notBefore: now - CLOCK_SKEW_MS, notAfter: now + LIFETIME_MS };
  const issuer = await createAuthority({ commonName: "pillion-ca", ...validity });
  const server = await createServerCertificate({ commonName: "pillion-api", names, issuer, ...validity });
  const write = (file: keyof typeof FILES, text: string, mode: number) =>
    writeFileAtomic(join(folder, FILES[file]), text, mode);
  write("authorityKey", issuer.key, 0o600);
  write("key", server.key, 0o600);
  write("certificate", server.certificate, 0o644);
  write("authority", issuer.certificate, 0o644);
  return { authority: issuer.certificate, certificate: server.certificate, key: server.key };
}

function openToken(folder: string): string {
  const kept = readText(folder, "token");
  if (kept !== undefined && TOKEN.test(kept)) return kept;
  const token = randomBytes(32).toString("base64url");
  writeFileAtomic(join(folder, FILES.token), token, 0o600);
  return token;
}

function openTokenKey(folder: string): string {
  const kept = readText(folder, "tokenKey");
  if (kept !== undefined && isCurveKey(kept)) return kept;
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
  const text = privateKey.export({ type: "pkcs8", format: "pem" });
  writeFileAtomic(join(folder, FILES.tokenKey), text, 0o600);
  return text;
}

function isCurveKey(pem: string): boolean {
  try {
    return createPrivateKey(pem).asymmetricKeyDetails?.namedCurve === "prime256v1";
  } catch {
    return false; // Not a key.
  }
}
