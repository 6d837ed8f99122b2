/** Reads image names the way every container runtime does, so that `nginx` and `docker.io/library/nginx:latest` are one image. */

/** A parsed image name. Same grammar as `github.com/distribution/reference`. */
export interface Reference {
  /** Registry host as the name says it, `docker.io` when it names none; with port. */
  readonly domain: string;
  /** Repository below the registry, `library/nginx` for `nginx`. */
  readonly path: string;
  readonly tag?: string;
  /** `sha256:<64 hexadecimal digits>`. */
  readonly digest?: string;
}

/** The name breaks the grammar. The message is the one `distribution/reference` gives. */
export class InvalidReference extends Error {
  constructor(message: string) {
    super(message);
    this.name = "InvalidReference";
  }
}

const DEFAULT_DOMAIN = "docker.io";
const MAX_PATH_LENGTH = 255;
/** Longer than any name the grammar and its limits allow; keeps hostile names away from the expressions below. */
const MAX_NAME_LENGTH = 1_024;
const DIGEST_HEX_LENGTH: Readonly<Record<string, number>> = { sha256: 64, sha384: 96, sha512: 128 };

const LABEL = "(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])";
const DOMAIN = String.raw`(?:${LABEL}(?:\.${LABEL})*|\[(?:[a-fA-F0-9:]+)\])(?::[0-9]+)?`;
const COMPONENT = "[a-z0-9]+(?:(?:[._]|__|[-]+)[a-z0-9]+)*";
const PATH = `${COMPONENT}(?:/${COMPONENT})*`;
const TAG = String.raw`[\w][\w.-]{0,127}`;
const DIGEST = "[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}";
const REFERENCE = new RegExp(`^(${DOMAIN})/(${PATH})(?::(${TAG}))?(?:@(${DIGEST}))?$`);
const IDENTIFIER = /^[a-f0-9]{64}$/;

/** Parses a name as people write it (`ParseNormalizedNamed`). Throws `InvalidReference`. Adds no tag. */
export function parseReference(name: string): Reference {
  if (name.length > MAX_NAME_LENGTH) throw new InvalidReference("invalid reference format");
  if (IDENTIFIER.test(name)) {
    throw new InvalidReference(
      `invalid repository name (${name}), cannot specify 64-byte hexadecimal strings`,
    );
  }
  const { domain, rest } = splitDomain(name);
  const repository = rest.split(":", 1)[0] ?? "";
  if (repository !== repository.toLowerCase()) {
    throw new InvalidReference(`invalid reference format: repository name (${repository}) must be lowercase`);
  }
  const match = REFERENCE.exec(`${domain}/${rest}`);
  if (match === null) throw new InvalidReference("invalid reference format");
  const [, matchedDomain = "", path = "", tag, digest] = match;
  if (path.length > MAX_PATH_LENGTH) {
    throw new InvalidReference(`repository name must not be more than ${MAX_PATH_LENGTH} characters`);
  }
  if (digest !== undefined) checkDigest(digest);
  return {
    domain: matchedDomain,
    path,
    ...(tag === undefined ? {} : { tag }),
    ...(digest === undefined ? {} : { digest }),
  };
}

/** The reference with `latest` where it has neither tag nor digest (`TagNameOnly`). */
export function withDefaultTag(reference: Reference): Reference {
  return reference.tag === undefined && reference.digest === undefined
    ? { ...reference, tag: "latest" }
    : reference;
}

/** Domain and path, no tag and no digest: `docker.io/library/nginx`. */
export function repositoryOf({ domain, path }: Reference): string {
  return `${domain}/${path}`;
}

/** The full name: `docker.io/library/nginx:1.27@sha256:…`. Equal images by name have equal canonical names. */
export function canonicalName(reference: Reference): string {
  return repositoryOf(reference) + suffixOf(reference);
}

/** The name as people write it: `nginx:1.27` for `docker.io/library/nginx:1.27`. */
export function familiarName(reference: Reference): string {
  return familiarRepository(reference) + suffixOf(reference);
}

/** `nginx` for `docker.io/library/nginx`. */
export function familiarRepository(reference: Reference): string {
  const { domain, path } = reference;
  if (domain !== DEFAULT_DOMAIN) return repositoryOf(reference);
  const short = path.startsWith("library/") ? path.slice("library/".length) : path;
  // A short form that parses differently (`docker.io/library/a/b`, `docker.io/a.b/c`) is no short form.
  return isSameRepository(short, reference)
    ? short
    : isSameRepository(path, reference)
      ? path
      : `${domain}/${path}`;
}

/** True for a well-formed digest of an algorithm we can check. */
export function isDigest(text: string): boolean {
  try {
    checkDigest(text);
    return true;
  } catch {
    return false;
  }
}

function suffixOf({ tag, digest }: Reference): string {
  return (tag === undefined ? "" : `:${tag}`) + (digest === undefined ? "" : `@${digest}`);
}

function isSameRepository(name: string, { domain, path }: Reference): boolean {
  const split = splitDomain(name);
  return split.domain === domain && split.rest === path;
}

/** `splitDockerDomain`: the part before the first slash is a host only when it cannot be a Docker Hub user. */
function splitDomain(name: string): { readonly domain: string; readonly rest: string } {
  const slash = name.indexOf("/");
  if (slash === -1) return { domain: DEFAULT_DOMAIN, rest: `library/${name}` };
  const first = name.slice(0, slash);
  const rest = name.slice(slash + 1);
  const isHost = first === "localhost" || /[.:]/.test(first) || first !== first.toLowerCase();
  const domain = !isHost || first === "index.docker.io" ? DEFAULT_DOMAIN : first;
  const path = isHost ? rest : name;
  return { domain, rest: domain === DEFAULT_DOMAIN && !path.includes("/") ? `library/${path}` : path };
}

/** `digest.Digest.Validate` of opencontainers/go-digest. */
function checkDigest(digest: string): void {
  const colon = digest.indexOf(":");
  const hex = digest.slice(colon + 1);
  const length = DIGEST_HEX_LENGTH[digest.slice(0, colon)];
  if (colon <= 0) throw new InvalidReference("invalid checksum digest format");
  if (length === undefined) throw new InvalidReference("unsupported digest algorithm");
  if (hex.length !== length) throw new InvalidReference("invalid checksum digest length");
  if (!/^[a-f0-9]+$/.test(hex)) throw new InvalidReference("invalid checksum digest format");
}
