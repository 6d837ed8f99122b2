/** The keys of a log sidecar that say which files it reads and what becomes of them. */
import { z } from "zod";
import { duration, size } from "../../../kernel/config-types.ts";
import { checkGlob } from "./glob.ts";

const KIBIBYTE = 1024;
const LONGEST_LINE = 64 * KIBIBYTE * KIBIBYTE;

/** A pattern of paths; what is wrong with it is said where it stands. */
function glob() {
  return z.string().superRefine((text, context) => {
    const wrong = checkGlob(text);
    if (wrong !== undefined) context.addIssue({ code: "custom", message: wrong });
  });
}

/** For the kind's schema, which spreads it. */
export const fileKeys = {
  files: z
    .array(glob())
    .optional()
    .describe(
      "Files to read, as patterns of paths: `*`, `?`, `[a-z]`, `{a,b}` and `**` for folders of any depth. Files and folders may come later. Symlinks are followed, but not to `/proc`, `/sys`, `/dev` and `/run/secrets`.",
    ),
  exclude: z
    .array(z.string().min(1))
    .default([])
    .describe(
      'Files to leave out: patterns of names, or of paths where they contain "/", for example `*.gz`.',
    ),
  readFrom: z
    .enum(["beginning", "end"])
    .default("beginning")
    .describe(
      "Where reading begins in files that are there at the very first start. Files that come later are always read whole.",
    ),
  maxLine: size()
    .refine((bytes) => bytes >= KIBIBYTE && bytes <= LONGEST_LINE, 'Write a size from "1Ki" to "64Mi"')
    .prefault("256Ki")
    .describe("Longer lines are delivered in parts of this size."),
  rotate: z
    .strictObject({
      size: size()
        .refine((bytes) => bytes >= 64 * KIBIBYTE, 'Write a size of at least "64Ki"')
        .describe("How large a file may grow before Pillion acts."),
      by: z
        .enum(["rename", "hole"])
        .describe(
          "`rename`: for applications that open the file by its name again. `hole`: gives the blocks of what is delivered back to the file system, and needs no cooperation.",
        ),
    })
    .optional()
    .describe("Keeps the application's files small without losing a line."),
  remove: z
    .strictObject({
      after: duration().describe("How long a file must have been unchanged and fully delivered."),
    })
    .optional()
    .describe("Deletes files once everything in them is delivered."),
};
