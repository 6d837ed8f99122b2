/** Patterns of paths, taken apart so that a walk only enters folders that can hold a match. */

/** One part of a pattern between slashes. */
export type Segment =
  | { readonly kind: "literal"; readonly name: string }
  | { readonly kind: "pattern"; readonly matches: (name: string) => boolean }
  | { readonly kind: "anyDepth" };

export interface Pattern {
  /** As it was written, before braces were expanded. */
  readonly text: string;
  readonly segments: readonly Segment[];
}

const MAGIC = /[*?[\]\\]/;
/** Enough for every sensible pattern; `{a,b}{a,b}{a,b}…` doubles with each pair. */
const MAX_EXPANSIONS = 256;

/** What is wrong with a pattern of files, as an imperative sentence; undefined when nothing is. */
export function checkGlob(text: string): string | undefined {
  if (!text.startsWith("/")) return 'Write a path from the root, for example "/var/log/*.log"';
  if (text.includes("\0")) return "Take the NUL character out";
  if (text.endsWith("/")) return "Write a pattern of files, for example with `*.log` at the end";
  if (/\*\*(?!\/)/.test(text) || /[^/]\*\*/.test(text))
    return "Write `**` as a folder of its own, for example `/logs/**/*.log`";
  const expanded = expandBraces(text);
  if (expanded.length > MAX_EXPANSIONS) return "Write several patterns instead of so many braces";
  if (expanded.some((path) => path.split("/").includes(".."))) return 'Write the path without ".."';
  return undefined;
}

/** One pattern for each choice that its braces leave. */
export function parseGlob(text: string): Pattern[] {
  return expandBraces(text).map((path) => ({
    text,
    segments: path
      .split("/")
      .filter((name) => name !== "" && name !== ".")
      .map(parseSegment),
  }));
}

/** Says of a path whether one of the patterns leaves it out. */
export function excluder(patterns: readonly string[]): (path: string) => boolean {
  const byPath = patterns.filter((pattern) => pattern.includes("/")).map((pattern) => new Bun.Glob(pattern));
  const byName = patterns.filter((pattern) => !pattern.includes("/")).map((pattern) => new Bun.Glob(pattern));
  return (path) => {
    const name = path.slice(path.lastIndexOf("/") + 1);
    return byName.some((glob) => glob.match(name)) || byPath.some((glob) => glob.match(path));
  };
}

/** `/a/{b,c{d,e}}/f` gives `/a/b/f`, `/a/cd/f` and `/a/ce/f`. Braces without a comma or without an end stand for themselves. */
export function expandBraces(text: string): string[] {
  for (let open = text.indexOf("{"); open !== -1; open = text.indexOf("{", open + 1)) {
    const choices = choicesAt(text, open);
    if (choices === undefined) continue;
    const all: string[] = [];
    for (const part of choices.parts) {
      all.push(...expandBraces(text.slice(0, open) + part + text.slice(choices.end)));
      if (all.length > MAX_EXPANSIONS) return all;
    }
    return all;
  }
  return [text];
}

function choicesAt(text: string, open: number): { parts: string[]; end: number } | undefined {
  const parts: string[] = [];
  let depth = 0;
  let from = open + 1;
  for (let at = open; at < text.length; at++) {
    const char = text[at];
    if (char === "{") depth++;
    else if (char === "," && depth === 1) {
      parts.push(text.slice(from, at));
      from = at + 1;
    } else if (char === "}" && --depth === 0) {
      parts.push(text.slice(from, at));
      return parts.length > 1 ? { parts, end: at + 1 } : undefined;
    }
  }
  return undefined;
}

function parseSegment(name: string): Segment {
  if (name === "**") return { kind: "anyDepth" };
  if (!MAGIC.test(name)) return { kind: "literal", name };
  const glob = new Bun.Glob(name);
  // As in a shell: hidden files are matched by patterns that say so.
  const isHidden = name.startsWith(".");
  return {
    kind: "pattern",
    matches: (candidate) => (isHidden || !candidate.startsWith(".")) && glob.match(candidate),
  };
}
