/** Runs a real helm of a given version against a test cluster, in a namespace of its own. */
import { join } from "node:path";
import { helmPath } from "../../src/testing/kubectl.ts";
import { type Finished, followProcess, type PillionHome } from "../../src/testing/pillion.ts";

/** Helm's own versions; layers of kubectl carry them. */
export type HelmVersion = "3.17" | "4.1";

const LAYERS = { "3.17": "29", "4.1": "35" } as const;

export interface HelmSession {
  readonly version: HelmVersion;
  readonly namespace: string;
  /** Runs to the end, whatever the exit code. */
  run(args: readonly string[]): Promise<Finished>;
  /** Runs to the end; any exit code but 0 fails the test with both streams. Resolves with stdout. */
  must(args: readonly string[]): Promise<string>;
}

/** `-n` is set for every command; the first installation has to make the namespace. */
export async function openHelm(
  home: PillionHome,
  { version, namespace }: { readonly version: HelmVersion; readonly namespace: string },
): Promise<HelmSession> {
  const program = await helmPath(LAYERS[version]);
  const env = {
    ...home.env,
    KUBECONFIG: home.kubeconfig(),
    HELM_CACHE_HOME: join(home.path, `helm-${version}`),
  };
  const run = (args: readonly string[]) =>
    followProcess(
      Bun.spawn([program, "-n", namespace, ...args], {
        stdio: ["ignore", "pipe", "pipe"],
        env,
        cwd: home.path,
      }),
    ).exited;
  return {
    version,
    namespace,
    run,
    async must(args) {
      const { code, stdout, stderr } = await run(args);
      if (code === 0) return stdout;
      throw new Error(`helm ${version} ${args.join(" ")} ended with ${code}\n${stderr}${stdout}`);
    },
  };
}
