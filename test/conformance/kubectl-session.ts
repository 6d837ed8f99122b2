/** Runs a real kubectl of a given version against a test cluster, in a namespace of its own. */
import { join } from "node:path";
import { kubectlPath, type KubectlVersion } from "../../src/testing/kubectl.ts";
import { type Finished, followProcess, type PillionHome, type Running } from "../../src/testing/pillion.ts";

export interface KubectlSession {
  readonly version: KubectlVersion;
  readonly namespace: string;
  /** Runs to the end, whatever the exit code. */
  run(args: readonly string[], stdin?: string): Promise<Finished>;
  /** Runs to the end; any exit code but 0 fails the test with both streams. Resolves with stdout. */
  must(args: readonly string[], stdin?: string): Promise<string>;
  start(args: readonly string[]): Running;
}

export interface SessionOptions {
  readonly version: KubectlVersion;
  readonly namespace: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** The namespace must exist; `-n` is set for every command. */
export async function openKubectl(
  home: PillionHome,
  { version, namespace, env }: SessionOptions,
): Promise<KubectlSession> {
  const program = await kubectlPath(version);
  const start = (args: readonly string[], stdin?: string): Running =>
    followProcess(
      Bun.spawn([program, "-n", namespace, ...args], {
        stdio: [stdin === undefined ? "ignore" : new Blob([stdin]), "pipe", "pipe"],
        env: {
          ...home.env,
          KUBECONFIG: home.kubeconfig(),
          KUBECACHEDIR: join(home.path, `kube-cache-${version}`),
          ...env,
        },
        cwd: home.path,
      }),
    );
  const run = (args: readonly string[], stdin?: string) => start(args, stdin).exited;
  return {
    version,
    namespace,
    start,
    run,
    async must(args, stdin) {
      const { code, stdout, stderr } = await run(args, stdin);
      if (code === 0) return stdout;
      throw new Error(`kubectl ${version} ${args.join(" ")} ended with ${code}\n${stderr}${stdout}`);
    },
  };
}
