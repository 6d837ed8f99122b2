/** `pillion images …`: the local image store and the image map, whether the cluster runs or not. */
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { Problem, type ProblemDetails } from "../../kernel/problem.ts";
import {
  type Command,
  EXIT,
  type Invocation,
  nameOption,
  type Option,
  outputOption,
  stringOption,
  type Terminal,
  UsageError,
  wantsJson,
} from "../command.ts";
import type { EngineControl, ImageCall } from "../engine-control.ts";
import { openStateFolder, stateFolderOf } from "../state-folder.ts";
import { formatColumns } from "../table.ts";

/** One line of the answer to an `ImageCall`. */
export type ImageAnswer =
  | { readonly progress: string }
  | { readonly result: unknown }
  | { readonly problem: ProblemDetails<string> };

/** An image of the store, as `images ls` shows it. */
export interface ListedImage {
  readonly name: string;
  readonly digest: string;
  readonly sizeBytes: number;
}

/** An entry of the image map. */
export interface ListedMapping {
  readonly name: string;
  /** `host`, or where the image's files are. */
  readonly target: string;
  /** The file that says so, or `pillion images map`. */
  readonly from: string;
}

interface ImageCommand {
  readonly name: string;
  readonly summary: string;
  readonly usage: string;
  readonly examples: readonly string[];
  readonly options?: Readonly<Record<string, Option>>;
  /** How many positionals it takes. */
  readonly takes: readonly string[];
  call(invocation: Invocation, terminal: Terminal): ImageCall;
  show(result: unknown, terminal: Terminal): void;
}

/** All of them, given a way to reach the store. */
export function imageCommands(control: EngineControl): readonly Command[] {
  return COMMANDS.map((command) => ({
    name: `images ${command.name}`,
    summary: command.summary,
    usage: command.usage,
    options: { ...command.options, name: nameOption, output: outputOption },
    examples: command.examples,
    run: (invocation, terminal) => runImageCommand(control, command, { invocation, terminal }),
  }));
}

async function runImageCommand(
  control: EngineControl,
  command: ImageCommand,
  { invocation, terminal }: { readonly invocation: Invocation; readonly terminal: Terminal },
): Promise<number> {
  const { positionals } = invocation;
  if (positionals.length !== command.takes.length) {
    throw new UsageError({
      code: "E_USAGE",
      message: `Cannot run "pillion images ${command.name}": it takes ${command.takes.length === 0 ? "no argument" : command.takes.join(" and ")}, got ${positionals.length}`,
      fix: `See \`pillion images ${command.name} --help\``,
    });
  }
  const json = wantsJson(invocation);
  const folder = stateFolderOf(terminal.env, stringOption(invocation, "name"));
  openStateFolder(folder);
  for await (const line of control.callImages(folder, command.call(invocation, terminal))) {
    const answer = JSON.parse(line) as ImageAnswer;
    if ("problem" in answer) throw new Problem(answer.problem);
    if ("progress" in answer) terminal.err(`${answer.progress}\n`);
    else if (json) terminal.out(`${JSON.stringify(answer.result, undefined, 2)}\n`);
    else command.show(answer.result, terminal);
  }
  return EXIT.done;
}

const COMMANDS: readonly ImageCommand[] = [
  {
    name: "ls",
    summary: "List the images in the local store and the image map",
    usage: "[-o json]",
    examples: ["pillion images ls", "pillion images ls -o json"],
    takes: [],
    call: () => ({ method: "GET", path: "images" }),
    show: showImages,
  },
  {
    name: "pull",
    summary: "Pull an image from its registry into the local store",
    usage: "IMAGE",
    examples: ["pillion images pull nginx:1.29"],
    takes: ["IMAGE"],
    call: ({ positionals }) => ({ method: "POST", path: "images/pull", body: { name: positionals[0] } }),
    show: showImage,
  },
  {
    name: "import",
    summary: "Import an OCI layout (folder or tar) or a `docker save` archive",
    usage: "PATH [--as IMAGE]",
    options: {
      as: { type: "string", value: "IMAGE", description: "Name for an image whose archive names none." },
    },
    examples: ["docker save web:dev -o web.tar && pillion images import web.tar"],
    takes: ["PATH"],
    call(invocation, terminal) {
      const path = resolve(terminal.cwd, invocation.positionals[0] ?? "");
      if (!existsSync(path)) {
        throw new Problem({
          code: "E_NO_SUCH_PATH",
          message: `Cannot import "${path}": there is no such file or folder`,
          fix: "Give an OCI layout or an archive, for example from `docker save`",
        });
      }
      const as = stringOption(invocation, "as");
      return {
        method: "POST",
        path: "images/import",
        body: { path, ...(as === undefined ? {} : { name: as }) },
      };
    },
    show: showImages,
  },
  {
    name: "rm",
    summary: "Remove an image from the local store",
    usage: "IMAGE",
    examples: ["pillion images rm nginx:1.29"],
    takes: ["IMAGE"],
    call: ({ positionals }) => ({
      method: "DELETE",
      path: `images?name=${encodeURIComponent(positionals[0] ?? "")}`,
    }),
    show: () => {},
  },
  {
    name: "map",
    summary: "Say where an image name leads: this machine (`host`), an OCI layout or an archive",
    usage: "IMAGE host|oci:DIR|archive:FILE|YAML",
    examples: [
      "pillion images map busybox host",
      "pillion images map web:dev oci:./build/layout",
      "pillion images map web:dev '{ host: { workdir: ., command: [node, app.js] } }'",
    ],
    takes: ["IMAGE", "a target"],
    call: ({ positionals: [name, target] }, { cwd }) => ({
      method: "POST",
      path: "image-map",
      body: { name, target, folder: cwd },
    }),
    show: () => {},
  },
  {
    name: "unmap",
    summary: "Take an image name out of the map that `images map` made",
    usage: "IMAGE",
    examples: ["pillion images unmap busybox"],
    takes: ["IMAGE"],
    call: ({ positionals }) => ({
      method: "DELETE",
      path: `image-map?name=${encodeURIComponent(positionals[0] ?? "")}`,
    }),
    show: () => {},
  },
];

const MIB = 1024 * 1024;

function showImages(result: unknown, terminal: Terminal): void {
  const { images, map } = result as { images: readonly ListedImage[]; map?: readonly ListedMapping[] };
  if (images.length > 0) {
    const rows = images.map(({ name, digest, sizeBytes }) => [
      // Here for the map only, or left without a name: `images rm DIGEST` removes it.
      name || "<none>",
      digest.slice(0, 19),
      `${Math.ceil(sizeBytes / MIB)} MiB`,
    ]);
    terminal.out(formatColumns([["IMAGE", "DIGEST", "SIZE"], ...rows]));
  }
  if (map !== undefined && map.length > 0) {
    if (images.length > 0) terminal.out("\n");
    terminal.out(
      formatColumns([["MAPPED", "TO", "BY"], ...map.map(({ name, target, from }) => [name, target, from])]),
    );
  }
  if (images.length === 0 && (map?.length ?? 0) === 0) terminal.err("no images and no mappings\n");
}

function showImage(result: unknown, terminal: Terminal): void {
  showImages({ images: [result] }, terminal);
}
