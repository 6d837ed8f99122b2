/** Tells this state folder from every other: ids made with it mean the same record only where the same checkpoints are. */
import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Host } from "../../../kernel/host.ts";

const FORM = /^[0-9a-f-]{36}$/;
/** One reading for all sinks of a sidecar: two that begin at once must not make two ids. */
const readings = new WeakMap<Host, Promise<string>>();

/** Made at the first call and kept beside the checkpoints; a damaged one is made anew. Rejects with the file system's error. */
export function installationId(host: Host): Promise<string> {
  const known = readings.get(host);
  if (known !== undefined) return known;
  const reading = readOrMake(host);
  readings.set(host, reading);
  reading.catch(() => readings.delete(host));
  return reading;
}

async function readOrMake(host: Host): Promise<string> {
  const path = join(host.stateFolder, "installation-id");
  const text = await readFile(path, "utf8").catch(() => "");
  if (FORM.test(text.trim())) return text.trim();
  const id = randomUUID();
  await host.writeFileAtomic(path, `${id}\n`, 0o600);
  return id;
}
