/** Domain names as DNS carries them: labels of raw bytes, compared without regard to ASCII case (RFC 1035, RFC 4343). */

/** Labels, first to last, without the root; each character is one byte. The root itself is empty. */
export type DomainName = readonly string[];

/** Bytes of a name on the wire, lengths and the root included (RFC 1035, 3.1). */
const MOST_NAME_BYTES = 255;
const MOST_LABEL_BYTES = 63;

/** Reads `web.default.svc`, with or without the dot at the end; `undefined` when no name can be written so. */
export function parseName(text: string): DomainName | undefined {
  const trimmed = text.endsWith(".") ? text.slice(0, -1) : text;
  const name = trimmed === "" ? [] : trimmed.split(".");
  return isName(name) ? name : undefined;
}

/** A name of the program itself. Throws `TypeError` when it is none. */
export function nameOf(text: string): DomainName {
  const name = parseName(text);
  if (name === undefined) throw new TypeError(`Not a domain name: ${text.slice(0, 300)}`);
  return name;
}

/** Whether a message can hold the name. */
export function isName(name: DomainName): boolean {
  let bytes = 1;
  for (const label of name) {
    if (label.length === 0 || label.length > MOST_LABEL_BYTES || /[^\0-\u00ff]/.test(label)) return false;
    bytes += label.length + 1;
  }
  return bytes <= MOST_NAME_BYTES;
}

/** The name in lower case, as key of a Map. Labels with dots in them are told from two labels. */
export function nameKey(name: DomainName): string {
  return name.map((label) => lowerCase(label).replaceAll(/[\\.]/g, String.raw`\$&`)).join(".");
}

export function isSameName(one: DomainName, other: DomainName): boolean {
  return nameKey(one) === nameKey(other);
}

/** The labels before `zone`, in lower case; `undefined` when the name is not in that zone. */
export function labelsBelow(name: DomainName, zone: DomainName): DomainName | undefined {
  const count = name.length - zone.length;
  if (count < 0 || !isSameName(name.slice(count), zone)) return undefined;
  return name.slice(0, count).map(lowerCase);
}

/** Only ASCII has case in DNS. */
function lowerCase(label: string): string {
  return label.replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase());
}
