/** Debian's docker-registry on a free port of the loopback, for tests that want a registry written by somebody else. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface DockerRegistry extends AsyncDisposable {
  /** `127.0.0.1:PORT` */
  readonly host: string;
  readonly origin: string;
}

/** The program; undefined where it is not installed (`apt-get install docker-registry`). */
export const dockerRegistryPath = Bun.which("docker-registry") ?? undefined;

export interface DockerRegistryOptions {
  /** Asks for this user and password. */
  readonly login?: { readonly username: string; readonly password: string };
  /** Asks for tokens of this server. `certificates` is a PEM file with those that may sign. */
  readonly tokens?: {
    readonly realm: string;
    readonly service: string;
    readonly issuer: string;
    readonly certificates: string;
  };
}

export async function startDockerRegistry(options: DockerRegistryOptions = {}): Promise<DockerRegistry> {
  if (dockerRegistryPath === undefined) throw new Error("docker-registry is not installed");
  const folder = mkdtempSync(join(tmpdir(), "pillion-registry-"));
  writeFileSync(join(folder, "config.yml"), await configuration(folder, options));
  const child = Bun.spawn([dockerRegistryPath, "serve", join(folder, "config.yml")], {
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
    env: { PATH: "/usr/bin:/bin", OTEL_TRACES_EXPORTER: "none" },
  });
  const stop = async (): Promise<void> => {
    child.kill("SIGKILL");
    await child.exited;
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    const host = await listeningAddress(child.stderr);
    return { host, origin: `http://${host}`, [Symbol.asyncDispose]: stop };
  } catch (because) {
    await stop();
    throw because;
  }
}

async function configuration(folder: string, { login, tokens }: DockerRegistryOptions): Promise<string> {
  if (login !== undefined) {
    const hash = await Bun.password.hash(login.password, { algorithm: "bcrypt", cost: 4 });
    writeFileSync(join(folder, "htpasswd"), `${login.username}:${hash}\n`);
  }
  const auth = {
    ...(login === undefined ? {} : { htpasswd: { realm: "test", path: join(folder, "htpasswd") } }),
    ...(tokens === undefined
      ? {}
      : { token: { ...tokens, certificates: undefined, rootcertbundle: tokens.certificates } }),
  };
  // YAML 1.2 is a superset of JSON.
  return JSON.stringify({
    version: 0.1,
    log: { level: "info", formatter: "text" },
    storage: { filesystem: { rootdirectory: join(folder, "data") }, delete: { enabled: true } },
    http: { addr: "127.0.0.1:0" },
    ...(Object.keys(auth).length === 0 ? {} : { auth }),
  });
}

/** Reads the log until it says where the registry listens, and goes on reading so that the pipe does not fill. */
async function listeningAddress(log: ReadableStream<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder();
  const reader = log.getReader();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) throw new Error(`docker-registry ended: ${text}`);
    text += decoder.decode(value, { stream: true });
    const address = /listening on (127\.0\.0\.1:\d+)/.exec(text)?.[1];
    if (address === undefined) continue;
    void drain(() => reader.read());
    return address;
  }
}

async function drain(read: () => Promise<{ readonly done: boolean }>): Promise<void> {
  while (!(await read()).done);
}
