/** JSON Web Tokens signed with ECDSA P-256 (RFC 7519, RFC 7518 `ES256`), as far as service accounts need them. */
import { createHash, createPrivateKey, createPublicKey, type KeyObject, sign, verify } from "node:crypto";

export type Claims = Readonly<Record<string, unknown>>;

export interface TokenKey {
  readonly sign: (claims: Claims) => string;
  /** The claims; undefined when the token was not signed by this key. Whether they still hold is not looked at. */
  readonly verify: (token: string) => Claims | undefined;
}

/** Longer than any that is issued. */
const MAX_TOKEN_LENGTH = 16_384;

/** `pem` is a private key of the curve P-256. */
export function tokenKey(pem: string): TokenKey {
  const privateKey = createPrivateKey(pem);
  const publicKey = createPublicKey(privateKey);
  const header = encode({ alg: "ES256", kid: keyId(publicKey), typ: "JWT" });
  return {
    sign(claims) {
      const content = `${header}.${encode(claims)}`;
      const signature = sign("sha256", Buffer.from(content), { key: privateKey, dsaEncoding: "ieee-p1363" });
      return `${content}.${signature.toString("base64url")}`;
    },
    verify(token) {
      if (token.length > MAX_TOKEN_LENGTH) return undefined;
      const [head, body, signature, ...more] = token.split(".");
      // Our own header to the letter: nobody else's choice of algorithm or key counts.
      if (head !== header || body === undefined || signature === undefined || more.length > 0)
        return undefined;
      const isOurs = verify(
        "sha256",
        Buffer.from(`${head}.${body}`),
        { key: publicKey, dsaEncoding: "ieee-p1363" },
        Buffer.from(signature, "base64url"),
      );
      return isOurs ? (JSON.parse(Buffer.from(body, "base64url").toString()) as Claims) : undefined;
    },
  };
}

function encode(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString("base64url");
}

/** As kube-apiserver names its keys: the hash of the public one. */
function keyId(key: KeyObject): string {
  return createHash("sha256")
    .update(key.export({ type: "spki", format: "der" }))
    .digest("base64url");
}
