/** Why a TLS handshake with a webhook failed, in the words of Go's crypto/tls and crypto/x509. */
import { isIP } from "node:net";
import type { PeerCertificate } from "node:tls";
import { NetworkError } from "../../../k8s/network-error.ts";

const VERIFY = "tls: failed to verify certificate: x509: ";
const UNKNOWN = `${VERIFY}certificate signed by unknown authority`;

/** By the codes of BoringSSL. */
const TEXTS: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: `${VERIFY}certificate has expired or is not yet valid`,
  CERT_NOT_YET_VALID: `${VERIFY}certificate has expired or is not yet valid`,
  CERT_UNTRUSTED: UNKNOWN,
  DEPTH_ZERO_SELF_SIGNED_CERT: UNKNOWN,
  SELF_SIGNED_CERT_IN_CHAIN: UNKNOWN,
  UNABLE_TO_GET_ISSUER_CERT: UNKNOWN,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: UNKNOWN,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: UNKNOWN,
  ERR_SSL_WRONG_VERSION_NUMBER: "http: server gave HTTP response to HTTPS client",
};

/** Undefined for what has nothing to do with TLS. */
export function tlsErrorText(error: unknown): string | undefined {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  return Object.hasOwn(TEXTS, code) ? TEXTS[code] : undefined;
}

/** `x509.Certificate.VerifyHostname`: undefined when the certificate is for `host`. The common name does not count. */
export function wrongHost(host: string, { subjectaltname = "" }: Pick<PeerCertificate, "subjectaltname">) {
  const names = subjectaltname.split(", ").map((entry) => entry.replaceAll('"', ""));
  const of = (prefix: string) =>
    names.flatMap((name) => (name.startsWith(prefix) ? [name.slice(prefix.length)] : []));
  const isAddress = isIP(host) !== 0;
  const valid = of(isAddress ? "IP Address:" : "DNS:");
  if (valid.some((name) => (isAddress ? plainAddress(name) === plainAddress(host) : coversName(name, host))))
    return undefined;
  if (isAddress && valid.length === 0) {
    return refused(`cannot validate certificate for ${host} because it doesn't contain any IP SANs`);
  }
  if (valid.length === 0)
    return refused(`certificate is not valid for any names, but wanted to match ${host}`);
  return refused(`certificate is valid for ${valid.join(", ")}, not ${host}`);
}

function refused(why: string): NetworkError {
  return new NetworkError(`${VERIFY}${why}`);
}

/** One spelling for each: IPv6 has many. */
function plainAddress(text: string): string {
  return isIP(text) === 6 ? (URL.parse(`http://[${text}]`)?.hostname ?? text) : text;
}

/** RFC 6125: a star is one label, the first. */
function coversName(pattern: string, host: string): boolean {
  const [name, wanted] = [pattern, host].map((one) => one.toLowerCase().replace(/\.$/, ""));
  if (name === undefined || wanted === undefined) return false;
  if (!name.startsWith("*.")) return name === wanted;
  const dot = wanted.indexOf(".");
  return dot > 0 && wanted.slice(dot) === name.slice(1);
}
