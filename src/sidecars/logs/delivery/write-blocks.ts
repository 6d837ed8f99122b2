/** Appends pieces to the files of a disk buffer, and knows when they are on the disk. */
import { truncateSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { encodeBlock, type Kept } from "./block.ts";
import { newSegment, type Segment } from "./segment.ts";

export interface WritePlace {
  readonly folder: string;
  /** Grows by the files that are begun. */
  readonly segments: Segment[];
  /** Number of the first file, where there is none. */
  readonly firstNumber: number;
  /** A file that has reached this gets no more blocks. */
  readonly segmentBytes: number;
  /** How much more may be written. */
  readonly roomBytes: number;
}

export interface Appended {
  /** How many, from the first on, are on the disk. */
  readonly records: number;
  /** Bytes of their texts. */
  readonly bytes: number;
  /** Why it was not all, other than the limit: what the file system said. */
  readonly trouble: unknown;
}

/** Texts of one block, bytes: one is in memory as a whole while it is written or read. */
const BLOCK_BYTES = 256 * 2 ** 10;

/** Never rejects. What was written before something failed counts. */
export async function writeBlocks(kept: readonly Kept[], place: WritePlace): Promise<Appended> {
  let file: OpenSegment | undefined;
  const opened: OpenSegment[] = [];
  let [records, bytes, written] = [0, 0, 0];
  let trouble: unknown;
  const texts = kept.reduce((sum, { size }) => sum + size, 0);
  const scratch = Buffer.allocUnsafe(2 * Math.min(texts, BLOCK_BYTES));
  try {
    for (const block of blocksOf(kept)) {
      const content = encodeBlock(block, scratch);
      if (written + content.length > place.roomBytes) break;
      if (file === undefined || file.segment.size >= place.segmentBytes) {
        file = await openSegment(place);
        opened.push(file);
      }
      await writeAll(file, content);
      const blockBytes = block.reduce((sum, { size }) => sum + size, 0);
      file.segment.size += content.length;
      file.segment.records += block.length;
      file.segment.bytes += blockBytes;
      written += content.length;
      records += block.length;
      bytes += blockBytes;
    }
  } catch (error) {
    trouble = error;
  }
  const failure = await settle(opened, place.folder);
  if (failure === undefined) return { records, bytes, trouble };
  return { records: 0, bytes: 0, trouble: failure };
}

interface OpenSegment {
  readonly segment: Segment;
  readonly handle: FileHandle;
  readonly isNew: boolean;
}

async function openSegment({
  folder,
  segments,
  firstNumber,
  segmentBytes,
}: WritePlace): Promise<OpenSegment> {
  const last = segments.at(-1);
  if (last !== undefined && last.size < segmentBytes && !last.isDamaged) {
    return { segment: last, handle: await open(last.path, "r+"), isNew: false };
  }
  const segment = newSegment(folder, last === undefined ? firstNumber : last.number + 1);
  const handle = await open(segment.path, "w", 0o600);
  segments.push(segment);
  return { segment, handle, isNew: true };
}

async function writeAll({ segment, handle }: OpenSegment, content: Buffer): Promise<void> {
  try {
    for (let done = 0; done < content.length;) {
      const { bytesWritten } = await handle.write(content, done, content.length - done, segment.size + done);
      done += bytesWritten;
    }
  } catch (error) {
    truncateSync(segment.path, segment.size); // Frees what half a block has taken of a full disk.
    throw error;
  }
}

/** On the disk, names included; gives what went wrong. */
async function settle(opened: readonly OpenSegment[], folder: string): Promise<unknown> {
  let failure: unknown;
  for (const { handle } of opened) {
    try {
      await handle.datasync();
    } catch (error) {
      failure ??= error;
    }
    await handle.close();
  }
  if (opened.some(({ isNew }) => isNew)) failure ??= await syncFolder(folder);
  return failure;
}

async function syncFolder(path: string): Promise<unknown> {
  try {
    const folder = await open(path, "r");
    await folder.sync();
    await folder.close();
    return undefined;
  } catch (error) {
    return error;
  }
}

function* blocksOf(kept: readonly Kept[]): Iterable<readonly Kept[]> {
  let from = 0;
  let bytes = 0;
  for (let index = 0; index < kept.length; index += 1) {
    const size = kept[index]?.size ?? 0;
    if (index > from && bytes + size > BLOCK_BYTES) {
      yield kept.slice(from, index);
      from = index;
      bytes = 0;
    }
    bytes += size;
  }
  if (from < kept.length) yield kept.slice(from);
}
