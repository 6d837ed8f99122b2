/** Header blocks of SPDY/3.1: one compressed stream per direction over the whole session (section 2.6.10). */
import { createInflate, type Inflate } from "node:zlib";
import { spdyDictionary } from "./spdy-dictionary.ts";
import { SpdyError } from "./spdy-frames.ts";

/** Of one block, unpacked. kubectl's are about 100 bytes. */
const MAX_BLOCK_BYTES = 64 * 1024;

/** Unpacks the blocks of one session, which have to be given in their order. */
export class HeaderInflater {
  #inflate: Inflate | undefined;
  #unpacked: Buffer[] = [];
  #size = 0;
  #fail: (error: Error) => void = () => undefined;

  /** Rejects with `SpdyError`. */
  async read(block: Buffer): Promise<Map<string, string>> {
    const inflate = (this.#inflate ??= this.#open());
    await new Promise<void>((resolve, reject) => {
      this.#fail = reject;
      inflate.write(block, () => resolve());
    });
    if (this.#size > MAX_BLOCK_BYTES) throw tooLarge();
    this.#size = 0;
    return parseHeaders(Buffer.concat(this.#unpacked.splice(0)));
  }

  close(): void {
    this.#inflate?.destroy();
  }

  #open(): Inflate {
    const inflate = createInflate({ dictionary: spdyDictionary() });
    inflate.on("data", (bytes: Buffer) => {
      this.#size += bytes.length;
      if (this.#size <= MAX_BLOCK_BYTES) this.#unpacked.push(bytes);
      else {
        this.#unpacked.length = 0;
        inflate.destroy();
        this.#fail(tooLarge());
      }
    });
    inflate.on("error", (error) =>
      this.#fail(new SpdyError(`a header block cannot be unpacked: ${error.message}`)),
    );
    return inflate;
  }
}

function tooLarge(): SpdyError {
  return new SpdyError(`a header block has more than ${MAX_BLOCK_BYTES} bytes`);
}

/** Names in lower case. Several values of one name stay together, separated by NUL. */
function parseHeaders(block: Buffer): Map<string, string> {
  let at = 0;
  const number = (): number => {
    if (at + 4 > block.length) throw new SpdyError("a header block is cut off");
    at += 4;
    return block.readUInt32BE(at - 4);
  };
  const text = (): string => {
    const length = number();
    if (at + length > block.length) throw new SpdyError("a header block is cut off");
    at += length;
    return block.toString("latin1", at - length, at);
  };
  const headers = new Map<string, string>();
  for (let left = number(); left > 0; left -= 1) headers.set(text().toLowerCase(), text());
  return headers;
}

/**
 * Blocks without any header, which is all that a server has to say. They are stored deflate blocks written out by hand: a
 * real compressor would take 256 KiB for each session to make these few bytes.
 */
export class EmptyHeaderWriter {
  #isFirst = true;

  next(): Buffer {
    const zlibHeader = this.#isFirst ? [0x78, 0x01] : [];
    this.#isFirst = false;
    // Not the last block, stored, 4 bytes long: the number of headers, 0. Then an empty one: Go's reader hands out what it has
    // at the end of such a block, and would otherwise look for more and fail.
    return Buffer.from([
      ...zlibHeader,
      0x00,
      0x04,
      0x00,
      0xfb,
      0xff,
      0,
      0,
      0,
      0,
      0x00,
      0x00,
      0x00,
      0xff,
      0xff,
    ]);
  }
}
