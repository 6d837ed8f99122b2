/** `pillion schema`: the configuration as JSON Schema, for editors and other programs. */
import type { Catalogue } from "../../config/sidecar-file.ts";
import { Problem } from "../../kernel/problem.ts";
import { nearest } from "../../lib/nearest.ts";
import { type Command, EXIT, UsageError } from "../command.ts";

/** The command, given the kinds. */
export function schemaCommand(catalogue: Catalogue): Command {
  return {
    name: "schema",
    summary: "Print the JSON Schema of the configuration of `pillion run`, or of one kind of sidecar",
    usage: "[KIND]",
    options: {},
    examples: ["pillion schema > pillion.schema.json", "pillion schema logs"],
    async run({ positionals: [kind, extra] }, terminal) {
      if (extra !== undefined) throw tooMany(extra);
      // zod and the kinds are heavy for a command line that lists commands.
      const { fileJsonSchema, kindJsonSchema } = await import("../../config/json-schema.ts");
      const load = kind === undefined ? undefined : findKind(catalogue, kind);
      const schema =
        load === undefined
          ? fileJsonSchema(await Promise.all(Object.values(catalogue).map((one) => one())))
          : kindJsonSchema(await load());
      terminal.out(`${JSON.stringify(schema, undefined, 2)}\n`);
      return EXIT.done;
    },
  };
}

function findKind(catalogue: Catalogue, kind: string): Catalogue[string] {
  const load = Object.hasOwn(catalogue, kind) ? catalogue[kind] : undefined;
  if (load !== undefined) return load;
  const kinds = Object.keys(catalogue);
  const near = nearest(kind, kinds);
  throw new Problem({
    code: "E_NO_SUCH_KIND",
    message: `Cannot print the schema of "${kind}": there is no such kind of sidecar`,
    fix: near === undefined ? `Use one of: ${kinds.join(", ")}` : `Did you mean \`pillion schema ${near}\`?`,
  });
}

function tooMany(extra: string): UsageError {
  return new UsageError({
    code: "E_USAGE",
    message: `Cannot use "${extra}": "pillion schema" takes one kind at most`,
    fix: "See `pillion schema --help`",
  });
}
