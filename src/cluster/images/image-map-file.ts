/** Reads image maps that people write: `.pillion/images.yaml`, `--images FILE`, and the mapping on a command line. */
import { readFileSync, statSync } from "node:fs";
import { constants } from "node:os";
import { basename, dirname, resolve } from "node:path";
import { z } from "zod";
import { readYaml } from "../../config/read-yaml.ts";
import type { Issue } from "../../config/explain.ts";
import { Problem, messageOf } from "../../kernel/problem.ts";
import { PLAIN_HOST, isPattern } from "./image-map.ts";
import type { ImageMapSource, Mapping } from "./image-map.ts";
import { InvalidReference, parseReference } from "./reference.ts";

const path = z
  .string()
  .min(1, "Write a path")
  .regex(/^[^\0]*$/, "A path cannot hold a NUL character");
const quoted = z.string("Write a string; put numbers and true or false in quotes");

const HostSettings = z.strictObject({
  workdir: path
    .optional()
    .describe(
      "Folder of this machine that the container starts in; shown at the same path, writes are thrown away.",
    ),
  command: z
    .array(quoted)
    .min(1, "Write at least the program")
    .optional()
    .describe("What runs when the pod names no command (an image's ENTRYPOINT)."),
  args: z.array(quoted).optional().describe("Its arguments when the pod names none (an image's CMD)."),
  env: z
    .record(z.string().regex(/^[^=\0]+$/, "A name of a variable holds no ="), quoted)
    .prefault({})
    .describe("Environment that the pod's own adds to or replaces."),
  user: z
    .union([z.int().min(0).max(4_294_967_294), z.string().min(1)], {
      error: "Write a user: a name or a number, with :group if wanted",
    })
    .optional()
    .describe("User to run as: name or number, with `:group` if wanted; root when left out."),
  stopSignal: z
    .string()
    .refine(isSignal, "Write a signal such as SIGQUIT")
    .prefault("SIGTERM")
    .describe("Signal that asks the container to stop."),
  copy: z
    .record(path, z.string().startsWith("/", "Write an absolute path in the container"))
    .prefault({})
    .describe("Files or folders of this machine, each with the container path it is copied to at start."),
  folders: z
    .array(path)
    .prefault([])
    .describe("More folders of this machine to show at the same path; writes are thrown away."),
});

const Target = z
  .strictObject({
    host: HostSettings.optional().describe("This machine's own root file system under a throw-away overlay."),
    oci: path.optional().describe("Folder with an OCI image layout."),
    archive: path.optional().describe("Archive: an OCI layout as tar, or what `docker save` writes."),
  })
  .refine(
    (target) => Object.values(target).filter((value) => value !== undefined).length === 1,
    'Write exactly one of "host", "oci" and "archive"',
  );

const ImageTarget = z.union([z.literal("host"), Target], {
  error: 'Write "host", or one of the keys "host", "oci" and "archive" with its value',
});

/** Schema of an image map file. */
export const ImageMapFile = z.strictObject({
  images: z
    .record(z.string().superRefine(checkName), ImageTarget)
    .nullable()
    .transform((images) => images ?? {})
    .describe("Image name (with or without tag, or a pattern with *) and what to run in its place."),
});

/** Reads one file. Throws `Problem`, for mistakes in it with every one of them at its place. */
export function loadImageMap(file: string): ImageMapSource {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (because) {
    throw new Problem({
      code: "E_IMAGE_MAP_UNREADABLE",
      message: `Cannot read the image map "${file}": ${messageOf(because)}`,
      fix: "Name a readable file, or create it with a line `images:`",
      cause: because,
    });
  }
  return readImageMap({ file, text });
}

/** `loadImageMap` for a text at hand; `file` says what relative paths mean and what messages name. */
export function readImageMap({
  file,
  text,
}: {
  readonly file: string;
  readonly text: string;
}): ImageMapSource {
  const folder = folderOf(file);
  const source = resolve(file);
  const read = readYaml({
    file,
    text,
    schema: ImageMapFile,
    what: "image map",
    check: ({ images }) =>
      Object.entries(images).flatMap(([name, target]) => checkPaths(["images", name], target, folder)),
  });
  const entries = Object.entries(read.value.images).map(([name, target]) => {
    const { line, column } = read.positionOf(["images", name], true);
    return { name, mapping: toMapping(target, folder), source, place: `${file}:${line}:${column}` };
  });
  return { source, entries };
}

/**
 * A mapping from a command line: `host`, `oci:FOLDER`, `archive:FILE`, or YAML such as `{ host: { workdir: . } }`.
 * Throws `Problem`.
 */
export function parseMapping(text: string, folder: string): Mapping {
  const short = /^(oci|archive):(?! )(.+)$/s.exec(text.trim());
  const yaml = short === null ? text : JSON.stringify({ [short[1] ?? ""]: short[2] });
  const { value } = readYaml({
    file: "mapping",
    text: yaml,
    schema: ImageTarget,
    what: "command-line argument",
    fix: "Write `host`, `oci:FOLDER`, `archive:FILE`, or YAML such as `'{ host: { workdir: . } }'`",
    check: (target) => checkPaths([], target, folder),
  });
  return toMapping(value, folder);
}

/** Throws `Problem` unless `name` is an image name or a pattern of them. */
export function checkMapName(name: string): void {
  const because = whyNotAName(name);
  if (because === undefined) return;
  throw new Problem({
    code: "E_IMAGE_NAME_INVALID",
    message: `Cannot use the image name: ${because}`,
    fix: "Write the name as the manifest does, for example nginx:1.27",
  });
}

/** `.pillion/images.yaml` speaks for the folder that holds `.pillion`; any other file for its own folder. */
function folderOf(file: string): string {
  const own = dirname(resolve(file));
  return basename(own) === ".pillion" ? dirname(own) : own;
}

function toMapping(target: z.output<typeof ImageTarget>, folder: string): Mapping {
  if (target === "host") return PLAIN_HOST;
  if (target.oci !== undefined) return { kind: "oci", path: resolve(folder, target.oci) };
  if (target.archive !== undefined) return { kind: "archive", path: resolve(folder, target.archive) };
  const { workdir, command, args, env, user, stopSignal, copy, folders } =
    target.host ?? HostSettings.parse({});
  return {
    kind: "host",
    ...(workdir === undefined ? {} : { workdir: resolve(folder, workdir) }),
    ...(command === undefined ? {} : { command }),
    ...(args === undefined ? {} : { args }),
    env,
    user: user === undefined ? "" : String(user),
    stopSignal: signalName(stopSignal),
    copies: Object.entries(copy).map(([from, to]) => ({ from: resolve(folder, from), to })),
    folders: folders.map((item) => resolve(folder, item)),
  };
}

type PathList = readonly {
  readonly at: readonly (string | number)[];
  readonly path: string;
  readonly atKey?: boolean;
}[];

function checkPaths(
  at: readonly (string | number)[],
  target: z.output<typeof ImageTarget>,
  folder: string,
): readonly Issue[] {
  if (target === "host") return [];
  const { oci, archive, host } = target;
  const workdir = host?.workdir;
  const folders: PathList = [
    ...(oci === undefined ? [] : [{ at: [...at, "oci"], path: oci }]),
    ...(workdir === undefined ? [] : [{ at: [...at, "host", "workdir"], path: workdir }]),
    ...(host?.folders ?? []).map((item, index) => ({ at: [...at, "host", "folders", index], path: item })),
  ];
  const files: PathList = [
    ...(archive === undefined ? [] : [{ at: [...at, "archive"], path: archive }]),
    ...Object.keys(host?.copy ?? {}).map((from) => ({
      at: [...at, "host", "copy", from],
      path: from,
      atKey: true,
    })),
  ];
  return [
    ...folders.flatMap((item) => missing(item, folder, "folder")),
    ...files.flatMap((item) => missing(item, folder, "file")),
  ];
}

function missing(item: PathList[number], folder: string, wanted: "folder" | "file"): readonly Issue[] {
  const full = resolve(folder, item.path);
  const issue = (message: string): readonly Issue[] => [
    { path: item.at, message, ...(item.atKey === undefined ? {} : { atKey: item.atKey }) },
  ];
  const found = statSync(full, { throwIfNoEntry: false });
  if (found === undefined) return issue(`There is no ${wanted} "${full}"`);
  if (wanted === "folder" && !found.isDirectory()) return issue(`"${full}" is not a folder`);
  if (wanted === "folder" && /^\/(?:proc|sys|dev)?(?:\/|$)/.test(full) && full !== "/dev/shm") {
    return issue(`"${full}" cannot be shown to a container`);
  }
  return [];
}

function checkName(name: string, context: z.RefinementCtx): void {
  const because = whyNotAName(name);
  if (because !== undefined) context.addIssue({ code: "custom", message: because });
}

function whyNotAName(name: string): string | undefined {
  if (isPattern(name)) {
    return /^[\w.:/@[\]*-]+$/.test(name) ? undefined : `"${name}" is not a pattern of image names`;
  }
  try {
    parseReference(name);
    return undefined;
  } catch (because) {
    if (because instanceof InvalidReference) return `"${name}" is not an image name: ${because.message}`;
    throw because;
  }
}

function isSignal(text: string): boolean {
  return /^(?:[1-9]|[1-5]\d|6[0-4])$/.test(text) || signalName(text) in constants.signals || isRealTime(text);
}

function isRealTime(text: string): boolean {
  return /^SIGRTM(?:IN(?:\+(?:\d|1[0-5]))?|AX(?:-(?:\d|1[0-4]))?)$/.test(signalName(text));
}

function signalName(text: string): string {
  const upper = text.toUpperCase();
  return /^\d+$/.test(upper) || upper.startsWith("SIG") ? upper : `SIG${upper}`;
}
