/** Runs an unmodified kubectl with a home of its own against a server that a test started. */
import { kubectlPath, type KubectlVersion } from "./kubectl.ts";

export interface KubectlRun {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface KubectlTarget {
  /** `http://127.0.0.1:PORT` */
  readonly server: string;
  /** Folder for kubectl's caches; nothing is read from the user's own. */
  readonly home: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** Flags go in front of a `--`, if there is one. */
export async function runKubectl(
  version: KubectlVersion,
  args: readonly string[],
  { server, home, env }: KubectlTarget,
): Promise<KubectlRun> {
  const flags = [`--server=${server}`, `--cache-dir=${home}`];
  const run = Bun.spawn([await kubectlPath(version), ...withFlags(args, flags)], {
    env: { HOME: home, PATH: "/nonexistent", ...env },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr] = await Promise.all([
    new Response(run.stdout).text(),
    new Response(run.stderr).text(),
  ]);
  return { code: await run.exited, stdout, stderr };
}

export function withFlags(args: readonly string[], flags: readonly string[]): string[] {
  const end = args.indexOf("--");
  return end < 0 ? [...args, ...flags] : [...args.slice(0, end), ...flags, ...args.slice(end)];
}
