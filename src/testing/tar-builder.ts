/** Builds tar archives member by member, also wrong ones, for tests of what reads them. */

export interface TarEntry {
  readonly name: string;
  /** Type flag; `0` file, `1` hard link, `2` symbolic link, `5` folder. */
  readonly type?: string;
  readonly content?: string | Uint8Array;
  readonly linkName?: string;
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly mtime?: number;
  /** Size in the header, where it is to differ from the content's. */
  readonly size?: number;
  readonly checksum?: number;
  /** Records of a pax header before the member. */
  readonly pax?: Readonly<Record<string, string>>;
  /** GNU long name or link name in a member of their own. */
  readonly longName?: string;
  readonly longLink?: string;
}

const BLOCK = 512;

/** A whole archive with its end mark. */
export function tar(entries: readonly TarEntry[]): Uint8Array {
  return Buffer.concat([...entries.map((entry) => tarMember(entry)), Buffer.alloc(2 * BLOCK)]);
}

/** One member with what belongs before it. */
export function tarMember(entry: TarEntry): Uint8Array {
  const { pax, longName, longLink } = entry;
  return Buffer.concat([
    ...(pax === undefined ? [] : [plain({ name: "pax", type: "x", content: paxRecords(pax) })]),
    ...(longName === undefined
      ? []
      : [plain({ name: "././@LongLink", type: "L", content: `${longName}\0` })]),
    ...(longLink === undefined
      ? []
      : [plain({ name: "././@LongLink", type: "K", content: `${longLink}\0` })]),
    plain(entry),
  ]);
}

/** `LENGTH KEY=VALUE\n`, where LENGTH counts itself. */
export function paxRecords(records: Readonly<Record<string, string>>): Uint8Array {
  const lines = Object.entries(records).map(([key, value]) => {
    const rest = Buffer.from(` ${key}=${value}\n`);
    let length = rest.length + 1;
    while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
    return Buffer.concat([Buffer.from(String(length)), rest]);
  });
  return Buffer.concat(lines);
}

function plain(entry: TarEntry): Uint8Array {
  const content = Buffer.from(entry.content ?? "");
  const header = Buffer.alloc(BLOCK);
  header.write(entry.name, 0, 100, "utf8");
  header.write(octal(entry.mode ?? (entry.type === "5" ? 0o755 : 0o644), 7), 100);
  header.write(octal(entry.uid ?? 0, 7), 108);
  header.write(octal(entry.gid ?? 0, 7), 116);
  header.write(octal(entry.size ?? content.length, 11), 124);
  header.write(octal(entry.mtime ?? 1_700_000_000, 11), 136);
  header.write("        ", 148);
  header.write(entry.type ?? "0", 156);
  header.write(entry.linkName ?? "", 157, 100, "utf8");
  header.write("ustar\x0000", 257);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${octal(entry.checksum ?? sum, 6)}\0 `, 148);
  return Buffer.concat([header, content, Buffer.alloc((BLOCK - (content.length % BLOCK)) % BLOCK)]);
}

function octal(value: number, digits: number): string {
  return value.toString(8).padStart(digits, "0");
}
