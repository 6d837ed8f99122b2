/** The certificates of a connection, read from files that somebody else renews. */
import { readFile } from "node:fs/promises";
import { createSecureContext } from "node:tls";
import { messageOf, Problem } from "../../../kernel/problem.ts";
import type { TlsOptions } from "./http-options.ts";

/** As `fetch` and `tls.connect` take it. */
export interface TlsMaterial {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly serverName?: string;
  readonly rejectUnauthorized: boolean;
}

/** Reads at each use, since a watch can miss a swap and the files are small. */
export class TlsFiles {
  readonly #options: TlsOptions | undefined;
  #last: TlsMaterial | undefined;

  constructor(options: TlsOptions | undefined) {
    this.#options = options;
  }

  /**
   * The same object for as long as the files hold the same. A set that cannot be used (missing, half renewed) leaves the last
   * good one in use; rejects with a `Problem` where there has been none.
   */
  async read(): Promise<TlsMaterial | undefined> {
    if (this.#options === undefined) return undefined;
    try {
      const fresh = await readMaterial(this.#options);
      if (this.#last !== undefined && isSame(fresh, this.#last)) return this.#last;
      check(fresh);
      this.#last = fresh;
    } catch (cause) {
      if (this.#last === undefined) throw unusable(cause);
    }
    return this.#last;
  }
}

async function readMaterial(options: TlsOptions): Promise<TlsMaterial> {
  const [ca, cert, key] = await Promise.all([options.ca, options.cert, options.key].map(readIfNamed));
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined || key === undefined ? {} : { cert, key }),
    ...(options.serverName === undefined ? {} : { serverName: options.serverName }),
    rejectUnauthorized: !options.insecureSkipVerify,
  };
}

async function readIfNamed(path: string | undefined): Promise<string | undefined> {
  return path === undefined ? undefined : await readFile(path, "utf8");
}

/** Throws for a certificate that does not fit its key, and for what is no PEM: `fetch` would only say "failed to open socket". */
function check({ ca, cert, key }: TlsMaterial): void {
  createSecureContext({
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
  });
}

function isSame(a: TlsMaterial, b: TlsMaterial): boolean {
  return a.ca === b.ca && a.cert === b.cert && a.key === b.key;
}

function unusable(cause: unknown): Problem {
  return new Problem({
    code: "E_SINK_CERTIFICATES",
    message: `Cannot use the certificates under \`tls\`: ${messageOf(cause)}`,
    fix: "Let `tls.ca`, `tls.cert` and `tls.key` name PEM files that this user may read and that belong together",
    cause,
  });
}
