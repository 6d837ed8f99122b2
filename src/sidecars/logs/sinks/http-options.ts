/** What all sinks over HTTP share in the configuration: where to, who we are, whom we trust, how it is packed. */
import { z } from "zod";
import { absolutePath, duration, secret } from "../../../kernel/config-types.ts";
import { type BatchDefaults, batchOptions } from "./batch-options.ts";

/** RFC 9110 section 5.6.2: a field name is a token. */
const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
/** RFC 9110 section 5.5, without the obsolete bytes: what no client or proxy trips over. */
const HEADER_VALUE = /^[\t\x20-\x7E]*$/;
/** Headers that belong to the request's framing; setting them by hand breaks it. */
const OWN_HEADERS: ReadonlySet<string> = new Set([
  "connection",
  "content-encoding",
  "content-length",
  "content-type",
  "host",
  "transfer-encoding",
]);

/** The address of an HTTP receiver: no user and password in it, since addresses end up in logs. */
export function httpUrl(example: string) {
  return z
    .string()
    .refine(isHttpUrl, `Write an address that begins with http:// or https://, for example "${example}"`)
    .refine(
      (url) => !hasUserInfo(url),
      "Take the user and the password out of the address and put them into `auth`",
    )
    .describe(`Where to send, for example \`${example}\`.`);
}

function isHttpUrl(text: string): boolean {
  return /^https?:\/\//i.test(text) && URL.canParse(text);
}

function hasUserInfo(text: string): boolean {
  const url = URL.parse(text);
  return url !== null && (url.username !== "" || url.password !== "");
}

function authOptions() {
  const bearer = secret().describe("A token, sent as `Authorization: Bearer …`.");
  const apiKey = secret().describe("An encoded API key, sent as `Authorization: ApiKey …` (Elasticsearch).");
  const basic = z
    .strictObject({
      user: z.string().min(1).describe("The user's name."),
      password: secret().describe("Where the password is."),
    })
    .describe("User and password, sent as `Authorization: Basic …`.");
  return z
    .strictObject({ bearer: bearer.optional(), basic: basic.optional(), apiKey: apiKey.optional() })
    .refine(
      (auth) => Object.values(auth).filter((value) => value !== undefined).length === 1,
      "Write exactly one of `bearer`, `basic` and `apiKey`",
    )
    .describe("How we prove who we are. Secrets are read anew for every request.");
}

/** The key `tls` of a sink. Files are read again when they change. */
export function tlsOptions() {
  return z
    .strictObject({
      ca: absolutePath().optional().describe("Certificates to trust instead of the system's, PEM."),
      cert: absolutePath().optional().describe("Our own certificate with its chain, PEM."),
      key: absolutePath().optional().describe("The key of our own certificate, PEM."),
      serverName: z
        .string()
        .min(1)
        .optional()
        .describe(
          "The name that the receiver's certificate has to carry, where it is not the host of the address.",
        ),
      insecureSkipVerify: z
        .boolean()
        .default(false)
        .describe("Accept any certificate. Whoever is on the way can read and change what is sent."),
    })
    .refine(
      (tls) => (tls.cert === undefined) === (tls.key === undefined),
      "Write both `cert` and `key`, or none",
    )
    .describe("Certificates. The files are read again when they change.");
}

export type TlsOptions = z.output<ReturnType<typeof tlsOptions>>;

function headerOptions() {
  const name = z
    .string()
    .regex(HEADER_NAME, "Write the name of a header, for example `X-Source`")
    .refine((header) => !OWN_HEADERS.has(header.toLowerCase()), "Leave this header to Pillion");
  const value = z.union(
    [z.string().regex(HEADER_VALUE, "Write printable ASCII characters"), secret()],
    "Write a text, or where a secret is: `{ file: /path }` or `{ env: NAME }`",
  );
  return z
    .record(name, value)
    .default({})
    .describe(
      "Headers to add. A value is a text, or the place of a secret: `{ file: /path }` or `{ env: NAME }`.",
    );
}

export type Compression = "gzip" | "zstd" | "none";

export interface HttpDefaults {
  /** An address as people would write it. */
  readonly example: string;
  readonly batch: BatchDefaults;
  /** What every such receiver unpacks, the default first: one that cannot answers 400, as if the records were at fault. */
  readonly compressions: readonly [Compression, ...Compression[]];
}

/** The keys that a sink over HTTP spreads into its own schema. */
export function httpOptions({ example, batch, compressions }: HttpDefaults) {
  common ??= commonOptions();
  return {
    url: httpUrl(example),
    ...common,
    compress: z
      .enum(compressions)
      .prefault(compressions[0])
      .describe("How the body is packed, at the fastest level."),
    batch: batchOptions(batch),
  };
}

/** Made once for all sinks: schemas take long to make, and a sidecar's start waits for them. */
let common: ReturnType<typeof commonOptions> | undefined;

function commonOptions() {
  return {
    headers: headerOptions(),
    auth: authOptions().optional(),
    tls: tlsOptions().optional(),
    proxy: httpUrl("http://proxy:3128")
      .optional()
      .describe("A proxy to go through. The variables `HTTP_PROXY` and the like are not looked at."),
    timeout: duration()
      .pipe(z.number().positive("Write a time longer than nothing"))
      .prefault("10s")
      .describe("How long one request may take, from connecting to the end of the answer."),
  };
}

/** What `HttpSender` needs of a sink's options. */
export type HttpOptions = z.output<z.ZodObject<ReturnType<typeof httpOptions>>>;
