/** What may stand in the configuration file of `pillion run`: the runtime's own keys, and those of every kind it is given. */
import { z } from "zod";
import { absolutePath, duration } from "../kernel/config-types.ts";
import type { Sidecar } from "../kernel/sidecar.ts";
import { CONTROL_SOCKET } from "./control-socket-path.ts";

/** Keys of a sidecar that belong to the runtime, whatever the kind; `kind` itself comes with each kind. */
export const entryKeysSchema = z.strictObject({
  gates: z
    .enum(["traffic", "start", "none"])
    .optional()
    .describe(
      "What this sidecar's health means for the pod: `traffic` (failing takes the pod out of its Services), " +
        "`start` (the main containers wait for its first success) or `none`. Each kind has its own default.",
    ),
  container: z
    .enum(["shared", "own"])
    .prefault("shared")
    .describe("`own` gives this sidecar a container of its own when it is injected into a pod."),
});

/** Keys of the file beside `sidecars`. */
export const settingsSchema = z.strictObject({
  $schema: z.string().optional().describe("Where editors find this schema; Pillion does not read it."),
  state: absolutePath()
    .prefault("/var/lib/pillion")
    .describe("Folder for what must survive a restart: one folder per sidecar below it."),
  admin: z
    .strictObject({
      port: z
        .int()
        .min(0)
        .max(65_535)
        .prefault(9990)
        .describe(
          "Port of `/livez`, `/readyz`, `/startupz` and `/metrics`; 0 takes any free port, and the log names it.",
        ),
      socket: absolutePath()
        .prefault(CONTROL_SOCKET)
        .describe(
          "Unix socket that `pillion ready`, `status`, `prestop`, `quit` and `dead-letters` talk to; mode 0600.",
        ),
    })
    .prefault({})
    .describe("Where probes, metrics and commands reach this process."),
  log: z
    .strictObject({
      level: z
        .enum(["debug", "info", "warn", "error"])
        .prefault("info")
        .describe("The least important event that is logged."),
      format: z
        .enum(["json", "text"])
        .optional()
        .describe("`json` or `text`. Default: `text` on a terminal, else `json`."),
    })
    .prefault({})
    .describe("Pillion's own log, which goes to standard error."),
  shutdown: z
    .strictObject({
      timeout: duration()
        .prefault("25s")
        .describe("How long sidecars may finish their work after SIGTERM. Kubernetes may end them earlier."),
    })
    .prefault({})
    .describe("How the process ends."),
});

/** The runtime's own settings, checked; `shutdown.timeout` is in milliseconds. */
export type RuntimeSettings = Omit<z.output<typeof settingsSchema>, "$schema">;

/** The runtime's keys of one sidecar, checked. */
export type EntryKeys = z.output<typeof entryKeysSchema> & { readonly kind: string };

const NAME = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
const NAME_WORDS = "Write a name of lower-case letters, digits and dashes, 63 at most";

/** One sidecar of that kind: the kind's own keys and the runtime's. */
export function entrySchema({ kind, summary, config }: Sidecar) {
  return config
    .safeExtend({
      kind: z.literal(kind).describe(`Which sidecar this is. ${summary}`),
      ...entryKeysSchema.shape,
    })
    .describe(summary);
}

/** The whole file, for these kinds. At least one kind is needed. */
export function fileSchema(kinds: readonly Sidecar[]) {
  const [first, ...rest] = kinds.map((kind) => entrySchema(kind));
  if (first === undefined) throw new TypeError("a configuration needs at least one kind of sidecar");
  return z
    .strictObject({
      ...settingsSchema.shape,
      sidecars: z
        .record(z.string().regex(NAME, NAME_WORDS), z.discriminatedUnion("kind", [first, ...rest]))
        .refine((sidecars) => Object.keys(sidecars).length > 0, "Name at least one sidecar")
        .describe("The sidecars of this process: a name of your choice, and below it `kind` and its keys."),
    })
    .describe("What `pillion run` reads: a mapping with the sidecars under `sidecars`.");
}
