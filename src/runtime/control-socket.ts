/** The Unix socket that commands, probes and hooks in the same container talk to: status and control, for this user only. */
import { chmodSync, lstatSync, mkdirSync, mkdtempSync, renameSync, rmSync, type Stats } from "node:fs";
import { dirname, join } from "node:path";
import { messageOf, Problem } from "../kernel/problem.ts";
import { answerControl } from "./control-routes.ts";
import type { RuntimeView } from "./view.ts";

export interface ControlSocket {
  /** Removes the socket, unless another process has put its own there. */
  stop(): Promise<void>;
}

/** Longest path of a Unix socket: `sun_path` of unix(7) without its final NUL. */
const MAX_PATH_BYTES = 107;
const MAX_BODY_BYTES = 1024 * 1024;
const LAST_ANSWER_MS = 200;

/**
 * Listens at `path`, mode 0600, in a folder that is made with mode 0700 where it is missing. A socket that a dead process
 * left is replaced; one that somebody answers on gives `E_SOCKET_TAKEN`, everything else that stands there `E_SOCKET`.
 */
export async function startControlSocket(view: RuntimeView, path: string): Promise<ControlSocket> {
  await makeRoom(path);
  let draft: string | undefined;
  try {
    // Made where nobody else can reach it, and moved into place when its mode is right: there is no moment of a wider one.
    // Not by `join`, which would take the dot away: beside the folder nothing may be writable.
    draft = mkdtempSync(`${dirname(path)}/.`);
    const socket = join(draft, "s");
    const server = Bun.serve({
      unix: socket,
      maxRequestBodySize: MAX_BODY_BYTES,
      development: false,
      fetch(request, server) {
        // A reload or a replay takes as long as it takes.
        server.timeout(request, 0);
        return answerControl(view, request);
      },
      error: (error) => problemResponse(error),
    });
    chmodSync(socket, 0o600);
    const { dev, ino } = lstatSync(socket);
    renameSync(socket, path);
    return {
      async stop() {
        const now = lstatSync(path, { throwIfNoEntry: false });
        if (now?.dev === dev && now.ino === ino) rmSync(path, { force: true });
        // Who asked for the end is to hear that it is on its way.
        if (server.pendingRequests > 0) await Promise.race([server.stop(), Bun.sleep(LAST_ANSWER_MS)]);
        await server.stop(true);
      },
    };
  } catch (cause) {
    throw cannotMake(path, messageOf(cause), cause);
  } finally {
    if (draft !== undefined) rmSync(draft, { recursive: true, force: true });
  }
}

/** Makes the folder, and proves that nothing at `path` is lost when it is replaced. */
async function makeRoom(path: string): Promise<void> {
  if (Buffer.byteLength(path) > MAX_PATH_BYTES)
    throw cannotMake(path, `a socket's path takes ${MAX_PATH_BYTES} bytes at most`);
  let there: Stats | undefined;
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    there = lstatSync(path, { throwIfNoEntry: false });
  } catch (cause) {
    throw cannotMake(path, messageOf(cause), cause);
  }
  if (there === undefined) return;
  if (!there.isSocket()) throw cannotMake(path, "something that is no socket stands there");
  if (await isAnswered(path)) {
    throw new Problem({
      code: "E_SOCKET_TAKEN",
      message: `Cannot make the control socket "${path}": another Pillion process answers there`,
      fix: "End that process with `pillion quit`, or set `admin.socket` or `--socket` to another path",
    });
  }
}

/** Whoever takes the connection is alive, whatever it then says; a refusal means that its process is gone. */
async function isAnswered(path: string): Promise<boolean> {
  try {
    const socket = await Bun.connect({ unix: path, socket: { data: () => undefined } });
    socket.end();
    return true;
  } catch (error) {
    return !(error instanceof Error && "code" in error && error.code === "ECONNREFUSED");
  }
}

function problemResponse(error: unknown): Response {
  const problem = { code: "E_BUG", message: messageOf(error), fix: "Report this as a bug of Pillion's" };
  return Response.json({ problem }, { status: 500 });
}

function cannotMake(path: string, what: string, cause?: unknown): Problem {
  return new Problem({
    code: "E_SOCKET",
    message: `Cannot make the control socket "${path}": ${what}`,
    fix: `Mount a writable volume at "${dirname(path)}", or set \`admin.socket\` or \`--socket\` to a path of your own`,
    cause,
  });
}
