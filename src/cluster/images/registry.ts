/** Client of the OCI distribution API: manifests and blobs of one repository, with challenges, redirects and retries. */
import { messageOf } from "../../kernel/problem.ts";
import { ArchiveError } from "./archive-error.ts";
import { collect } from "./byte-streams.ts";
import type { RegistryCredentials } from "./image.ts";
import { MANIFEST_TYPES, MAX_DOCUMENT_BYTES, digestOf, parseJson, sha256 } from "./oci.ts";
import type { Descriptor } from "./oci.ts";
import { isLoopback } from "./proxy.ts";
import { isDigest } from "./reference.ts";
import { RegistryRefused, RetryLater, retrying } from "./registry-retry.ts";
import { basicAuthorization, parseChallenges, tokenOf, tokenUrl } from "./registry-auth.ts";
import type { Challenge } from "./registry-auth.ts";
import { RegistryUnreachable, sendRequest } from "./registry-http.ts";
import type { HttpAnswer, HttpOptions, HttpRequest } from "./registry-http.ts";

export interface RegistryOptions extends HttpOptions {
  /** Registry as an image name says it, `docker.io` included. */
  readonly domain: string;
  /** Repository below it: `library/nginx`. */
  readonly path: string;
  readonly credentials?: RegistryCredentials | undefined;
  /** Registries that are spoken to without TLS, besides those of this machine. */
  readonly insecureRegistries?: readonly string[] | undefined;
}

const MAX_REDIRECTS = 10;
const ACCEPT = { accept: MANIFEST_TYPES.join(", "), "accept-encoding": "identity", "user-agent": "pillion" };

export class Registry {
  readonly #options: RegistryOptions;
  readonly #base: URL;
  #authorization: string | undefined;

  constructor(options: RegistryOptions) {
    const { domain, insecureRegistries = [] } = options;
    const host = domain === "docker.io" ? "registry-1.docker.io" : domain;
    const isPlain = isLoopback(hostnameOf(host)) || insecureRegistries.includes(domain);
    this.#options = options;
    this.#base = new URL(`${isPlain ? "http" : "https"}://${host}/v2/${options.path}/`);
  }

  /** Host and port that requests go to, for messages. */
  get host(): string {
    return this.#base.host;
  }

  /** The digest that a tag has now, without fetching it; undefined when there is no such image or the registry does not tell. */
  async digestOf(tagOrDigest: string): Promise<string | undefined> {
    const answer = await this.#send("HEAD", `manifests/${tagOrDigest}`, ACCEPT);
    answer.discard();
    const digest = answer.status === 200 ? answer.header("docker-content-digest") : undefined;
    return digest !== undefined && isDigest(digest) ? digest : undefined;
  }

  /** A manifest or index with its checked digest. Rejects with `RegistryRefused`, `RegistryUnreachable` or `ArchiveError`. */
  async manifest(tagOrDigest: string): Promise<{ readonly bytes: Uint8Array; readonly digest: string }> {
    return await this.#retrying(async () => {
      const answer = await this.#send("GET", `manifests/${tagOrDigest}`, ACCEPT);
      if (answer.status !== 200) throw await refusal(answer, this.host);
      const bytes = await collect(answer.body, MAX_DOCUMENT_BYTES, `the manifest of ${tagOrDigest}`);
      const digest = sha256(bytes);
      const promised = tagOrDigest.startsWith("sha256:")
        ? tagOrDigest
        : answer.header("docker-content-digest");
      if (promised?.startsWith("sha256:") === true && promised !== digest) {
        throw new ArchiveError(`${this.host} sent a manifest with the digest ${digest} for ${promised}`);
      }
      return { bytes, digest };
    });
  }

  /** A small blob as a whole: the image's configuration. Rejects like `manifest`. */
  async document({ digest, size }: Descriptor): Promise<Uint8Array> {
    return await this.#retrying(async () => {
      const { body } = await this.openBlob(digest, 0);
      const bytes = await collect(body, Math.min(size, MAX_DOCUMENT_BYTES), `blob ${digest}`);
      const found = digestOf(bytes, digest);
      if (found !== digest)
        throw new ArchiveError(`${this.host} sent content with the digest ${found} for ${digest}`);
      return bytes;
    });
  }

  /** An open answer with a blob from byte `start` on (206) or from its beginning (200). */
  async openBlob(digest: string, start: number): Promise<HttpAnswer> {
    const range: Readonly<Record<string, string>> = start === 0 ? {} : { range: `bytes=${start}-` };
    const answer = await this.#send("GET", `blobs/${digest}`, { ...ACCEPT, accept: "*/*", ...range });
    if (answer.status !== 200 && answer.status !== 206) throw await refusal(answer, this.host);
    return answer;
  }

  /** Runs a request again after transient failures, as long as it makes progress or has attempts left. */
  async #retrying<Result>(attempt: () => Promise<Result>): Promise<Result> {
    return await retrying(attempt, this.#options);
  }

  async #send(
    method: HttpRequest["method"],
    path: string,
    headers: HttpRequest["headers"],
  ): Promise<HttpAnswer> {
    const url = new URL(path, this.#base);
    const answer = await this.#follow({ method, url, headers });
    if (answer.status !== 401) return answer;
    answer.discard();
    const header = answer.header("www-authenticate") ?? "";
    this.#authorization = await this.#authorize(parseChallenges(header));
    return await this.#follow({ method, url, headers });
  }

  /** Follows redirects; the authorization goes only to the registry itself. */
  async #follow({ method, url, headers }: HttpRequest): Promise<HttpAnswer> {
    let at = url;
    for (let hops = 0; hops <= MAX_REDIRECTS; hops++) {
      const secret = at.origin === this.#base.origin ? this.#authorization : undefined;
      const authorization: Readonly<Record<string, string>> =
        secret === undefined ? {} : { authorization: secret };
      const answer = await sendRequest(
        { method, url: at, headers: { ...headers, ...authorization } },
        this.#options,
      );
      const location = [301, 302, 303, 307, 308].includes(answer.status)
        ? answer.header("location")
        : undefined;
      if (location === undefined) return answer;
      answer.discard();
      at = this.#redirect(at, location);
    }
    throw new RegistryRefused("unexpected", `${this.host} redirects in a circle`);
  }

  #redirect(from: URL, location: string): URL {
    const to = URL.parse(location, from.href);
    const isPlain = to?.protocol === "http:";
    if (to === null || (to.protocol !== "https:" && !isPlain)) {
      throw new RegistryRefused("unexpected", `${from.host} redirects to a place that is no web address`);
    }
    if (isPlain && from.protocol === "https:") {
      throw new RegistryRefused("unexpected", `${from.host} redirects to ${to.host} without encryption`);
    }
    return to;
  }

  async #authorize(challenges: readonly Challenge[]): Promise<string> {
    const { credentials } = this.#options;
    const bearer = challenges.find(({ scheme }) => scheme === "bearer");
    if (bearer !== undefined) return `Bearer ${await this.#token(bearer)}`;
    if (challenges.some(({ scheme }) => scheme === "basic") && credentials !== undefined) {
      return basicAuthorization(credentials);
    }
    throw denied(this.host, credentials);
  }

  async #token(challenge: Challenge): Promise<string> {
    const { credentials, path } = this.#options;
    const url = tokenUrl(challenge, `repository:${path}:pull`, credentials?.username);
    if (url === undefined) throw new RegistryRefused("unexpected", `${this.host} names no token server`);
    if (credentials !== undefined && url.protocol === "http:" && !this.#mayBePlain(url)) {
      throw new RegistryRefused(
        "unexpected",
        `the token server ${url.host} does not encrypt, credentials stay here`,
      );
    }
    const authorization: Readonly<Record<string, string>> =
      credentials === undefined ? {} : { authorization: basicAuthorization(credentials) };
    const headers = { accept: "application/json", "user-agent": "pillion", ...authorization };
    return await this.#retrying(async () => {
      const answer = await sendRequest({ method: "GET", url, headers }, this.#options);
      if (answer.status === 401 || answer.status === 403) {
        answer.discard();
        throw denied(url.host, credentials);
      }
      if (answer.status !== 200) throw await refusal(answer, url.host);
      const json = parseJson(
        await collect(answer.body, MAX_DOCUMENT_BYTES, "the token"),
        "the token server's answer",
      );
      const token = tokenOf(json);
      if (token === undefined)
        throw new RegistryRefused("unexpected", `${url.host} answered without a token`);
      return token;
    });
  }

  /** Without TLS to the registry, its token server may do without too. */
  #mayBePlain(url: URL): boolean {
    return (
      isLoopback(url.hostname) || (this.#base.protocol === "http:" && url.hostname === this.#base.hostname)
    );
  }
}

/** The error for an answer that is no success; reads what the registry says about it. */
async function refusal(answer: HttpAnswer, host: string): Promise<RegistryRefused> {
  const said = await messageIn(answer);
  const { status } = answer;
  if (status === 404) return new RegistryRefused("not found", `${host} has no such image`);
  if (status === 401 || status === 403) return denied(host, undefined, said);
  if (status === 429) {
    return new RetryLater("rate limit", `${host} limits the rate of pulls${said}`, retryAfterMs(answer));
  }
  const message = `${host} answered ${status}${said}`;
  return status >= 500
    ? new RetryLater("unexpected", message, retryAfterMs(answer))
    : new RegistryRefused("unexpected", message);
}

function denied(host: string, credentials: RegistryCredentials | undefined, said = ""): RegistryRefused {
  const state =
    credentials === undefined
      ? `${host} denies access: the image does not exist or needs credentials (imagePullSecrets)`
      : `${host} denies access to user "${credentials.username}"`;
  return new RegistryRefused("denied", state + said);
}

/** The first message of the API's error document, as ` (…)`; empty when there is none. */
async function messageIn(answer: HttpAnswer): Promise<string> {
  try {
    const json = parseJson(await collect(answer.body, 65_536, "the answer"), "the answer");
    const text = firstMessage(json)
      .replaceAll(/\p{Cc}/gu, " ")
      .slice(0, 200);
    return text === "" ? "" : ` (${text})`;
  } catch (because) {
    // An error page that cannot be read must not hide the status that came with it.
    return because instanceof ArchiveError || because instanceof RegistryUnreachable
      ? ""
      : ` (${messageOf(because)})`;
  }
}

function firstMessage(json: unknown): string {
  const errors = typeof json === "object" && json !== null && "errors" in json ? json.errors : undefined;
  const first: unknown = Array.isArray(errors) ? errors[0] : undefined;
  const message =
    typeof first === "object" && first !== null && "message" in first ? first.message : undefined;
  return typeof message === "string" ? message : "";
}

/** `Retry-After` in seconds or as a date is not told apart by clocks: only seconds are used. */
function retryAfterMs(answer: HttpAnswer): number | undefined {
  const value = answer.header("retry-after") ?? "";
  return /^\d{1,9}$/.test(value) ? Number(value) * 1_000 : undefined;
}

function hostnameOf(host: string): string {
  return host.replace(/:\d+$/, "");
}
