/** What the control socket understands. Answers are JSON; a refusal is `{ "problem": { code, message, fix } }`. */
import { z } from "zod";
import type { DeadLetters } from "../kernel/dead-letters.ts";
import { messageOf, Problem, type ProblemDetails } from "../kernel/problem.ts";
import { nearest } from "../lib/nearest.ts";
import type { ReloadOutcome, RuntimeView } from "./view.ts";

type Route = (view: RuntimeView, request: Request) => Response | Promise<Response>;

const ROUTES: ReadonlyMap<string, Route> = new Map<string, Route>([
  ["GET /status", (view) => Response.json(view.status())],
  ["GET /livez", (view) => Response.json(view.isLive())],
  ["GET /readyz", (view) => Response.json(view.isReady())],
  ["GET /startupz", (view) => Response.json(view.isStarted())],
  ["POST /prestop", prestop],
  ["POST /quit", quit],
  ["POST /reload", async (view) => reloaded(await view.reload())],
  ["GET /dead-letters", listDeadLetters],
  ["POST /dead-letters/replay", replayDeadLetters],
]);

/** Answers one request. Rejects only for bugs. */
export async function answerControl(view: RuntimeView, request: Request): Promise<Response> {
  const { pathname } = new URL(request.url);
  const route = ROUTES.get(`${request.method} ${pathname}`);
  if (route === undefined) {
    const message = `Cannot do ${request.method} ${pathname}: the control socket does not know it`;
    return refuse(404, { code: "E_NO_SUCH_CALL", message, fix: "Use the `pillion` of the same version" });
  }
  try {
    return await route(view, request);
  } catch (error) {
    if (error instanceof Problem) return refuse(400, error);
    throw error;
  }
}

const Prestop = z.strictObject({ graceMs: z.number().nonnegative().optional() });

async function prestop(view: RuntimeView, request: Request): Promise<Response> {
  const { graceMs } = await bodyOf(request, Prestop);
  view.prestop(graceMs === undefined ? {} : { graceMs });
  return Response.json({});
}

function quit(view: RuntimeView): Response {
  // The answer goes first: the process may be gone a moment later.
  setTimeout(() => view.quit(), 0);
  return Response.json({}, { status: 202 });
}

function reloaded(outcome: ReloadOutcome): Response {
  if (outcome.outcome !== "rejected") return Response.json(outcome);
  const { problem } = outcome;
  if (problem instanceof Problem) return refuse(422, problem);
  const fix = "See `pillion status`, and correct the file";
  return refuse(422, { code: "E_UNEXPECTED", message: `Cannot reload: ${messageOf(problem)}`, fix });
}

/** One letter per line of JSON, with its sidecar's name: there may be many. */
function listDeadLetters(view: RuntimeView, request: Request): Response {
  const wanted = new URL(request.url).searchParams.get("sidecar") ?? undefined;
  const all = withDeadLetters(view, wanted);
  async function* lines(): AsyncGenerator<string> {
    for (const { name, deadLetters } of all) {
      for (const letter of await deadLetters.list())
        yield `${JSON.stringify({ sidecar: name, ...letter })}\n`;
    }
  }
  return new Response(lines(), {
    headers: { "Content-Type": "application/x-ndjson" },
  });
}

const Replay = z.strictObject({
  sidecar: z.string().optional(),
  ids: z.union([z.literal("all"), z.array(z.string()).min(1)]),
});

async function replayDeadLetters(view: RuntimeView, request: Request): Promise<Response> {
  const { sidecar, ids } = await bodyOf(request, Replay);
  const all = withDeadLetters(view, sidecar);
  if (ids !== "all" && all.length > 1) {
    throw new Problem({
      code: "E_WHICH_SIDECAR",
      message: `Cannot tell whose dead letters are meant: ${quoted(all)} have some`,
      fix: "Name the sidecar with `--sidecar NAME`",
    });
  }
  let queued = 0;
  for (const { deadLetters } of all) queued += await deadLetters.replay(ids);
  return Response.json({ queued });
}

interface Owner {
  readonly name: string;
  readonly deadLetters: DeadLetters;
}

/** The sidecars that keep dead letters now, or the one of that name. */
function withDeadLetters(view: RuntimeView, wanted: string | undefined): readonly Owner[] {
  const names = view.status().sidecars.map(({ name }) => name);
  if (wanted !== undefined && !names.includes(wanted)) {
    const near = nearest(wanted, names);
    throw new Problem({
      code: "E_NO_SUCH_SIDECAR",
      message: `Cannot look for dead letters of "${wanted}": there is no such sidecar`,
      fix: near === undefined ? "See `pillion status` for the names" : `Did you mean \`--sidecar ${near}\`?`,
    });
  }
  const owners = (wanted === undefined ? names : [wanted]).flatMap((name) => {
    const deadLetters = view.deadLetters(name);
    return deadLetters === undefined ? [] : [{ name, deadLetters }];
  });
  if (wanted === undefined || owners.length > 0) return owners;
  throw new Problem({
    code: "E_NO_DEAD_LETTERS",
    message: `Cannot look for dead letters of "${wanted}": its kind keeps none, or it is not running now`,
    fix: "See `pillion status`, and try again when it runs",
  });
}

async function bodyOf<Schema extends z.ZodType>(request: Request, schema: Schema): Promise<z.output<Schema>> {
  const text = await request.text();
  let body: unknown;
  try {
    body = text === "" ? {} : JSON.parse(text);
  } catch (cause) {
    throw wrongBody(request, "it is not JSON", cause);
  }
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  throw wrongBody(request, z.prettifyError(parsed.error), parsed.error);
}

function wrongBody(request: Request, what: string, cause: unknown): Problem {
  return new Problem({
    code: "E_BODY",
    message: `Cannot do ${request.method} ${new URL(request.url).pathname}: its body is wrong: ${what}`,
    fix: "Use the `pillion` of the same version",
    cause,
  });
}

function quoted(owners: readonly Owner[]): string {
  return owners.map(({ name }) => `"${name}"`).join(", ");
}

function refuse(status: number, { code, message, fix }: ProblemDetails<string>): Response {
  return Response.json({ problem: { code, message, fix } }, { status });
}
