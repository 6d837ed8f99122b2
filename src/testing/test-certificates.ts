/** Certificates for tests of TLS, as PEM texts and files: an authority, a server for given names, and a client. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type CertifiedKey,
  createAuthority,
  createServerCertificate,
} from "../cluster/api/make-certificates.ts";

export class TestCertificates implements Disposable {
  readonly folder: string;
  /** PEM of the authority's certificate. */
  readonly ca: string;
  readonly server: CertifiedKey;
  /** Signs itself: a server that asks for it has to trust this very certificate. */
  readonly client: CertifiedKey;

  private constructor(ca: string, server: CertifiedKey, client: CertifiedKey) {
    this.folder = mkdtempSync(join(tmpdir(), "pillion-certificates-"));
    this.ca = ca;
    this.server = server;
    this.client = client;
    for (const name of FILES) this.write(name, this.#textOf(name));
  }

  /** `names` are what the server may be called: DNS names and addresses. */
  static async make(names: readonly string[] = ["localhost", "127.0.0.1"]): Promise<TestCertificates> {
    const notBefore = Date.now() - 3_600_000;
    const validity = { notBefore, notAfter: notBefore + 86_400_000 };
    const issuer = await createAuthority({ commonName: "test authority", ...validity });
    const server = await createServerCertificate({ commonName: "test server", names, issuer, ...validity });
    const client = await createAuthority({ commonName: "test client", ...validity });
    return new TestCertificates(issuer.certificate, server, client);
  }

  /** Where a file of this name lies. */
  path(name: CertificateFile): string {
    return join(this.folder, name);
  }

  /** Puts something else there, as a renewal does. */
  write(name: CertificateFile, text: string): void {
    writeFileSync(this.path(name), text, { mode: 0o600 });
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  #textOf(name: CertificateFile): string {
    if (name === "ca.pem") return this.ca;
    const who = name.startsWith("server") ? this.server : this.client;
    return name.endsWith(".key") ? who.key : who.certificate;
  }
}

const FILES = ["ca.pem", "server.pem", "server.key", "client.pem", "client.key"] as const;
export type CertificateFile = (typeof FILES)[number];
