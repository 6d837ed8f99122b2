/** Which names rotation gives: `app.log` becomes `app.log.1`, `app.log-20260131`, `app-20260131.log`, each maybe with `.gz`. */
import { basename, dirname, extname, join } from "node:path";

/** What a rotation adds: separators, digits, the parts of a time. */
const ADDED = /^[-._]\d[-.:_\dTZ]*$|^\.(?:old|bak|prev|pillion-[-\dTZ]+)$/;

/** Whether `candidate` is a name that rotation gives to `name`. */
export function isRotationOf(name: string, candidate: string): boolean {
  if (candidate === name) return false;
  const plain = candidate.endsWith(".gz") ? candidate.slice(0, -3) : candidate;
  if (plain === name) return true;
  if (plain.startsWith(name)) return ADDED.test(plain.slice(name.length));
  const extension = extname(name);
  const stem = name.slice(0, name.length - extension.length);
  return (
    extension !== "" &&
    plain.startsWith(stem) &&
    plain.endsWith(extension) &&
    ADDED.test(plain.slice(stem.length, plain.length - extension.length))
  );
}

/** Whether `candidate` may be a copy of `name`: whatever begins with the log's name, or is a rotation of it. */
export function mayBeCopyOf(name: string, candidate: string): boolean {
  return candidate !== name && (candidate.startsWith(name) || isRotationOf(name, candidate));
}

/** Paths of which `path` may be a copy. */
export function* originalsOf(path: string): Generator<string> {
  const folder = dirname(path);
  const name = basename(path);
  for (let length = name.length - 1; length > 0; length--) yield join(folder, name.slice(0, length));
  const plain = name.endsWith(".gz") ? name.slice(0, -3) : name;
  const extension = extname(plain);
  const stem = plain.slice(0, plain.length - extension.length);
  for (let length = stem.length - 1; length > 0; length--) {
    if (ADDED.test(stem.slice(length))) yield join(folder, stem.slice(0, length) + extension);
  }
}

/** A name without the number that rotation has given it, and without `.gz`. */
export function numberless(path: string): string {
  return path.replace(/\.gz$/, "").replace(/\.\d{1,4}$/, "");
}

/** The name that a rotated one was made of, as far as names tell; any other is its own family. */
export function familyOf(path: string): string {
  const folder = dirname(path);
  const name = basename(path);
  const plain = isGzipName(name) ? name.slice(0, -3) : name;
  const bare = plain.replace(/[-._]\d[-.:_\dTZ]*$/, "");
  if (bare !== plain && bare !== "") return join(folder, bare);
  const extension = extname(plain);
  const dated = plain.slice(0, plain.length - extension.length).replace(/[-._]\d{6,}[-.:_\dTZ]*$/, "");
  return join(folder, dated === "" ? plain : dated + extension);
}

export function isGzipName(path: string): boolean {
  return path.endsWith(".gz");
}
