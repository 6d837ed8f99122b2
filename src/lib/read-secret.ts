/** Reads a secret from where a configuration says it is kept, and says no more than that place when it cannot. */
import { open } from "node:fs/promises";
import type { SecretSource } from "../kernel/host.ts";
import { Problem } from "../kernel/problem.ts";

/** A Kubernetes Secret holds 1 MiB at most; what is larger is no secret. */
const MAX_BYTES = 1024 * 1024;

/** Without the white space around it. Rejects with `E_SECRET_MISSING`, `E_SECRET_EMPTY` or `E_SECRET_UNREADABLE`. */
export async function readSecret(
  source: SecretSource,
  env: Readonly<Record<string, string | undefined>>,
): Promise<string> {
  const place = "env" in source ? `environment variable "${source.env}"` : `file "${source.file}"`;
  const text = "env" in source ? env[source.env] : await readWhole(source.file);
  if (text === undefined) throw noSecret("MISSING", `${place} is not there`, `Provide ${place}`);
  const secret = text.trim();
  if (secret === "") throw noSecret("EMPTY", `${place} is empty`, `Put the secret into ${place}`);
  return secret;
}

async function readWhole(path: string): Promise<string | undefined> {
  try {
    const file = await open(path);
    try {
      const { size } = await file.stat();
      if (size <= MAX_BYTES) return await file.readFile("utf8");
    } finally {
      await file.close();
    }
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    const why = `file "${path}" cannot be read (${typeof code === "string" ? code : "unknown error"})`;
    throw noSecret("UNREADABLE", why, `Let this process read file "${path}"`);
  }
  const why = `file "${path}" is larger than 1 MiB`;
  throw noSecret("UNREADABLE", why, "Name the file that holds only the secret");
}

function noSecret(end: "MISSING" | "EMPTY" | "UNREADABLE", why: string, fix: string): Problem {
  return new Problem({ code: `E_SECRET_${end}`, message: `Cannot read a secret: ${why}`, fix });
}
