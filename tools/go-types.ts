/**
 * Reads the Go types out of a Go program (ELF, 64 bit): struct fields with their types and tags.
 *
 * The tags say what no npm package says: which field has which protobuf number, which zero values are left out of JSON,
 * which lists merge by which key. Layout: Go's `internal/abi` Type, StructType, Name (Go 1.18 to 1.25).
 */

export interface GoField {
  readonly name: string;
  readonly embedded: boolean;
  readonly tag: string;
  readonly type: GoType;
}

export interface GoType {
  /** Address of the type in the program; the same type has the same address. */
  readonly id: number;
  readonly kind: "bool" | "number" | "string" | "struct" | "pointer" | "slice" | "map" | "other";
  /** As `reflect.Type.String()` prints it, for example `v1.PodSpec`, `[]v1.Container`, `int32`. */
  readonly text: string;
  /** Import path of a named struct, for example `k8s.io/api/core/v1`. */
  readonly packagePath: string;
  /** Of pointers, slices and maps. */
  element(): GoType | undefined;
  /** Of structs. */
  fields(): readonly GoField[];
}

const KINDS: Readonly<Record<number, GoType["kind"]>> = {
  1: "bool",
  21: "map",
  22: "pointer",
  23: "slice",
  24: "string",
  25: "struct",
};

/** All types that pointers in the program point to. */
export function readGoTypes(program: Buffer): GoType[] {
  const reader = new GoTypeReader(program);
  return reader.pointedAt();
}

interface Section {
  readonly address: number;
  readonly offset: number;
  readonly size: number;
}

class GoTypeReader {
  readonly #program: Buffer;
  readonly #rodata: Section;
  readonly #typelink: Section;
  readonly #known = new Map<number, GoType>();

  constructor(program: Buffer) {
    this.#program = program;
    this.#rodata = this.#section(".rodata");
    this.#typelink = this.#section(".typelink");
  }

  pointedAt(): GoType[] {
    const { offset, size } = this.#typelink;
    const found: GoType[] = [];
    for (let at = offset; at < offset + size; at += 4) {
      const type = this.#type(this.#rodata.address + this.#program.readInt32LE(at));
      const element = type.kind === "pointer" ? type.element() : undefined;
      if (element !== undefined) found.push(element);
    }
    return found;
  }

  #section(wanted: string): Section {
    const program = this.#program;
    const table = Number(program.readBigUInt64LE(0x28));
    const entrySize = program.readUInt16LE(0x3a);
    const count = program.readUInt16LE(0x3c);
    const header = (index: number) => {
      const at = table + index * entrySize;
      return {
        name: program.readUInt32LE(at),
        address: Number(program.readBigUInt64LE(at + 16)),
        offset: Number(program.readBigUInt64LE(at + 24)),
        size: Number(program.readBigUInt64LE(at + 32)),
      };
    };
    const names = header(program.readUInt16LE(0x3e)).offset;
    for (let index = 0; index < count; index += 1) {
      const section = header(index);
      const start = names + section.name;
      if (program.toString("latin1", start, program.indexOf(0, start)) === wanted) return section;
    }
    throw new Error(`The program has no section "${wanted}"`);
  }

  /** Offset in the file of an address in `.rodata`. */
  #at(address: number): number {
    const at = address - this.#rodata.address;
    if (at < 0 || at >= this.#rodata.size) throw new Error(`No type at 0x${address.toString(16)}`);
    return at + this.#rodata.offset;
  }

  #pointer(at: number): number {
    return Number(this.#program.readBigUInt64LE(at));
  }

  #type(address: number): GoType {
    const known = this.#known.get(address);
    if (known !== undefined) return known;
    const at = this.#at(address);
    const code = this.#program.readUInt8(at + 23) & 31;
    const flags = this.#program.readUInt8(at + 20);
    const kind = KINDS[code] ?? (code >= 2 && code <= 14 ? "number" : "other");
    const name = this.#name(this.#rodata.address + this.#program.readInt32LE(at + 40)).text;
    const uncommon = kind === "struct" && (flags & 1) !== 0 ? this.#program.readInt32LE(at + 80) : 0;
    const type: GoType = {
      id: address,
      kind,
      text: (flags & 2) === 0 ? name : name.slice(1),
      packagePath: uncommon === 0 ? "" : this.#name(this.#rodata.address + uncommon).text,
      element: () => {
        if (kind === "pointer" || kind === "slice") return this.#type(this.#pointer(at + 48));
        return kind === "map" ? this.#type(this.#pointer(at + 56)) : undefined;
      },
      fields: () => (kind === "struct" ? this.#fields(at) : []),
    };
    this.#known.set(address, type);
    return type;
  }

  #fields(at: number): GoField[] {
    const first = this.#pointer(at + 56);
    const count = this.#pointer(at + 64);
    return Array.from({ length: count }, (_, index) => {
      const field = this.#at(first + index * 24);
      const { text, tag, flags } = this.#name(this.#pointer(field));
      return { name: text, tag, embedded: (flags & 8) !== 0, type: this.#type(this.#pointer(field + 8)) };
    });
  }

  #name(address: number): { text: string; tag: string; flags: number } {
    const at = this.#at(address);
    const flags = this.#program.readUInt8(at);
    const text = this.#text(at + 1);
    return { flags, text: text.value, tag: (flags & 2) === 0 ? "" : this.#text(text.end).value };
  }

  /** Length as a varint, then the bytes. */
  #text(start: number): { value: string; end: number } {
    let at = start;
    let length = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = this.#program.readUInt8(at);
      at += 1;
      length |= (byte & 127) << shift;
      if (byte < 128) break;
    }
    return { value: this.#program.toString("utf8", at, at + length), end: at + length };
  }
}
