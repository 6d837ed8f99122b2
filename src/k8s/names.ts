/** Which names Kubernetes accepts, and the words it refuses others with (apimachinery `util/validation`). */

const DNS1123_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const DNS1123_SUBDOMAIN = `${DNS1123_LABEL}(\\.${DNS1123_LABEL})*`;
const WILDCARD_DOMAIN = `\\*\\.${DNS1123_SUBDOMAIN}`;
const DNS1035_LABEL = "[a-z]([-a-z0-9]*[a-z0-9])?";
const QUALIFIED_NAME = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";
const LABEL_VALUE = `(${QUALIFIED_NAME})?`;
const CONFIG_MAP_KEY = "[-._a-zA-Z0-9]+";
const HTTP_HEADER = "[-A-Za-z0-9]+";
const PERCENT = "[0-9]+%";

const LABEL_MAX = 63;
const SUBDOMAIN_MAX = 253;

const dns1123Label = new RegExp(`^${DNS1123_LABEL}$`);
const dns1123Subdomain = new RegExp(`^${DNS1123_SUBDOMAIN}$`);
const wildcardDomain = new RegExp(`^${WILDCARD_DOMAIN}$`);
const dns1035Label = new RegExp(`^${DNS1035_LABEL}$`);
const qualifiedName = new RegExp(`^${QUALIFIED_NAME}$`);
const labelValue = new RegExp(`^${LABEL_VALUE}$`);
const configMapKey = new RegExp(`^${CONFIG_MAP_KEY}$`);
const httpHeader = new RegExp(`^${HTTP_HEADER}$`);
const percent = new RegExp(`^${PERCENT}$`);

/** Every check answers the list of what is wrong; empty = fine. */
export type NameCheck = (value: string) => string[];

export function byteLength(text: string): number {
  return Buffer.byteLength(text, "utf8");
}

export function maxLengthMessage(max: number): string {
  return `must be no more than ${max} bytes`;
}

export function rangeMessage(min: number, max: number): string {
  return `must be between ${min} and ${max}, inclusive`;
}

function regexMessage(message: string, regex: string, ...examples: string[]): string {
  if (examples.length === 0) return `${message} (regex used for validation is '${regex}')`;
  const listed = examples.map((example) => `'${example}', `).join(" or ");
  return `${message} (e.g. ${listed}regex used for validation is '${regex}')`;
}

function tooLong(value: string, max: number): string[] {
  return byteLength(value) > max ? [maxLengthMessage(max)] : [];
}

/** Names of containers, volumes, namespaces. */
export function checkDns1123Label(value: string): string[] {
  const wrong = tooLong(value, LABEL_MAX);
  if (dns1123Label.test(value)) return wrong;
  if (dns1123Subdomain.test(value)) return [...wrong, "must not contain dots"];
  const message =
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character";
  return [...wrong, regexMessage(message, DNS1123_LABEL, "my-name", "123-abc")];
}

/** Names of most objects. */
export function checkDns1123Subdomain(value: string): string[] {
  const wrong = tooLong(value, SUBDOMAIN_MAX);
  if (dns1123Subdomain.test(value)) return wrong;
  const message =
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character";
  return [...wrong, regexMessage(message, DNS1123_SUBDOMAIN, "example.com")];
}

/** Names of Services. */
export function checkDns1035Label(value: string): string[] {
  const wrong = tooLong(value, LABEL_MAX);
  if (dns1035Label.test(value)) return wrong;
  const message =
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character";
  return [...wrong, regexMessage(message, DNS1035_LABEL, "my-name", "abc-123")];
}

/** Names of hosts that stand for all in a domain. */
export function checkWildcardDomain(value: string): string[] {
  const wrong = tooLong(value, SUBDOMAIN_MAX);
  if (wildcardDomain.test(value)) return wrong;
  const message =
    "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character";
  return [...wrong, regexMessage(message, WILDCARD_DOMAIN, "*.example.com")];
}

/** Names of roles and kinds may hold anything that a step of a URL's path can (`path.IsValidPathSegmentName`). */
export function checkPathSegment(name: string): string[] {
  if (name === "." || name === "..") return [`may not be '${name}'`];
  return ["/", "%"].filter((char) => name.includes(char)).map((char) => `may not contain '${char}'`);
}

/** Keys of labels, annotations, node selectors, finalizers: `[prefix/]Name`. */
export function checkQualifiedName(value: string): string[] {
  const message =
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";
  const shape = regexMessage(message, QUALIFIED_NAME, "MyName", "my.name", "123-abc");
  const parts = value.split("/");
  if (parts.length > 2) {
    return [
      `a qualified name ${shape} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')`,
    ];
  }
  const name = parts.at(-1) ?? "";
  const wrong: string[] = [];
  if (parts.length === 2) {
    const prefix = parts[0] ?? "";
    if (prefix === "") wrong.push("prefix part must be non-empty");
    else wrong.push(...checkDns1123Subdomain(prefix).map((text) => `prefix part ${text}`));
  }
  if (name === "") wrong.push("name part must be non-empty");
  else if (byteLength(name) > LABEL_MAX) wrong.push(`name part ${maxLengthMessage(LABEL_MAX)}`);
  if (!qualifiedName.test(name)) wrong.push(`name part ${shape}`);
  return wrong;
}

export function checkLabelValue(value: string): string[] {
  const wrong = tooLong(value, LABEL_MAX);
  if (labelValue.test(value)) return wrong;
  const message =
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";
  return [...wrong, regexMessage(message, LABEL_VALUE, "MyValue", "my_value", "12345")];
}

/** Printable ASCII but `=` (KEP-4369, GA in 1.34). */
export function checkEnvName(value: string): string[] {
  if (value === "") return ["environment variable name must be non-empty"];
  if (/^[\x20-\x3c\x3e-\x7e]*$/.test(value)) return [];
  return ["a valid environment variable name must consist only of printable ASCII characters other than '='"];
}

/** Keys of ConfigMaps and Secrets; they become file names. */
export function checkConfigMapKey(value: string): string[] {
  const wrong = tooLong(value, SUBDOMAIN_MAX);
  if (!configMapKey.test(value)) {
    const message = "a valid config key must consist of alphanumeric characters, '-', '_' or '.'";
    wrong.push(regexMessage(message, CONFIG_MAP_KEY, "key.name", "KEY_NAME", "key-name"));
  }
  if (value === ".") wrong.push("must not be '.'");
  else if (value === "..") wrong.push("must not be '..'");
  else if (value.startsWith("..")) wrong.push("must not start with '..'");
  return wrong;
}

export function checkHttpHeaderName(value: string): string[] {
  if (httpHeader.test(value)) return [];
  const message = "a valid HTTP header must consist of alphanumeric characters or '-'";
  return [regexMessage(message, HTTP_HEADER, "X-Header-Name")];
}

export function checkPercent(value: string): string[] {
  if (percent.test(value)) return [];
  const message = "a valid percent string must be a numeric string followed by an ending '%'";
  return [regexMessage(message, PERCENT, "1%", "93%")];
}

/** Names of container and Service target ports (RFC 6335, lower case only). */
export function checkPortName(value: string): string[] {
  const wrong = tooLong(value, 15);
  if (!/^[-a-z0-9]+$/.test(value)) {
    wrong.push("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)");
  }
  if (!/[a-z]/.test(value)) wrong.push("must contain at least one letter (a-z)");
  if (value.includes("--")) wrong.push("must not contain consecutive hyphens");
  if (value.startsWith("-") || value.endsWith("-")) wrong.push("must not begin or end with a hyphen");
  return wrong;
}

export function checkPortNumber(port: number): string[] {
  return checkRange(port, 1, 65535);
}

export function checkRange(value: number, min: number, max: number): string[] {
  return Number.isInteger(value) && value >= min && value <= max ? [] : [rangeMessage(min, max)];
}

/** UIDs and GIDs. */
export function checkUserId(id: number): string[] {
  return checkRange(id, 0, 0xffffffff);
}

export function checkIp(value: string): string[] {
  return isIp(value) ? [] : ["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"];
}

/** IPv4 without leading zeros, or IPv6 without zone. */
export function isIp(value: string): boolean {
  if (/^(0|[1-9]\d{0,2})(\.(0|[1-9]\d{0,2})){3}$/.test(value))
    return value.split(".").every((part) => Number(part) < 256);
  return value.includes(":") && !value.includes("%") && URL.canParse(`http://[${value}]/`);
}
