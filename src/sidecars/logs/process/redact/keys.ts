/** Finds credentials: keys of well-known form, private keys, passwords in URLs, and whatever stands behind the name of a secret. */
import { type Detector, NOTHING } from "./detector.ts";
import { findNamedSecrets, holdsSecretName, isSecretName } from "./named-secrets.ts";

/** Well-known forms, each with a prefix that its issuer promises. Bounded, so that no start costs more than a constant. */
const FORMS: readonly string[] = [
  "(?<![A-Z0-9])A[KS]IA[A-Z0-9]{16}(?![A-Z0-9])", // AWS access key ids
  "gh[pousr]_[A-Za-z0-9]{20,255}", // GitHub tokens
  "github_pat_[A-Za-z0-9_]{20,255}", // GitHub fine-grained tokens
  "glpat-[A-Za-z0-9_-]{20,255}", // GitLab tokens
  "npm_[A-Za-z0-9]{36}", // npm tokens
  "xox[abeoprs]-[A-Za-z0-9-]{10,255}", // Slack tokens
  "xapp-[A-Za-z0-9-]{10,255}", // Slack app tokens
  "AIza[A-Za-z0-9_-]{35}", // Google API keys
  "[rs]k_(?:live|test)_[A-Za-z0-9]{10,255}", // Stripe keys
  "(?<![A-Za-z0-9])sk-[A-Za-z0-9_-]{20,255}", // OpenAI and Anthropic keys
];
const FORM = new RegExp(FORMS.join("|"), "g");
const FORM_STARTS =
  /A[KS]IA|gh[pousr]_|github_pat_|glpat-|npm_|xox[abeoprs]-|xapp-|AIza|[rs]k_|sk-|-----BEGIN/;

const PEM_HEAD = /-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----/g;
const PEM_END = "-----END";
const DASHES = "-----";

/** The word before the token stays: it is no secret. */
const BEARER = /(?<=bearer(?:\s|%20){1,4})[A-Za-z0-9._~+/-]{16,8192}={0,2}/gi;

/** `scheme://user:password@host`, RFC 3986, 3.2.1. */
const USER_INFO = /(?<=:\/\/[^\s/?#@:"'<>]{0,128}:)[^\s/?#@"'<>]{1,256}(?=@)/g;

export const keys: Detector = {
  mayHold: (text) =>
    FORM_STARTS.test(text) || holdsSecretName(text) || (text.includes("@") && text.includes("://")),

  find(text) {
    const found: Span[] = [];
    findAll(text, FORM, found);
    findPrivateKeys(text, found);
    findNamedSecrets(text, found);
    findAll(text, BEARER, found);
    if (text.includes("://")) findAll(text, USER_INFO, found);
    return found.length === 0 ? NOTHING : merged(found);
  },

  isSecretName,
};

type Span = readonly [start: number, end: number];

function findAll(text: string, pattern: RegExp, found: Span[]): void {
  pattern.lastIndex = 0;
  for (let match = pattern.exec(text); match !== null; match = pattern.exec(text)) {
    found.push([match.index, pattern.lastIndex]);
  }
}

/** Without an end the rest of the text is the key: the event was cut. */
function findPrivateKeys(text: string, found: Span[]): void {
  PEM_HEAD.lastIndex = 0;
  for (let head = PEM_HEAD.exec(text); head !== null; head = PEM_HEAD.exec(text)) {
    const foot = text.indexOf(PEM_END, PEM_HEAD.lastIndex);
    const dashes = foot < 0 ? -1 : text.indexOf(DASHES, foot + PEM_END.length);
    const end = dashes < 0 ? text.length : dashes + DASHES.length;
    found.push([head.index, end]);
    PEM_HEAD.lastIndex = end;
  }
}

function merged(found: Span[]): number[] {
  const spans: number[] = [];
  for (const [start, end] of found.sort(([a], [b]) => a - b)) {
    const last = spans.length - 1;
    if (last > 0 && start < (spans[last] ?? 0)) spans[last] = Math.max(spans[last] ?? 0, end);
    else spans.push(start, end);
  }
  return spans;
}
