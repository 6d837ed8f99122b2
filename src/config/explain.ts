/** Shows what is wrong in a YAML file where it is wrong: file, line, column, the line itself and a caret. */
import { LineCounter, isAlias, isMap, isScalar, isSeq, parseDocument, visit } from "yaml";
import type { Document, Pair } from "yaml";

/** Something wrong at one place of a YAML document. */
export interface Issue {
  /** Keys and indexes from the top of the document. A path that is not there points at its nearest parent's key. */
  readonly path: readonly (string | number)[];
  readonly message: string;
  /** Points at the last key of `path` instead of its value; for keys that should not be there. */
  readonly atKey?: boolean;
  /** The value itself is not shown, in no excerpt: it stands where only the place of a secret may. */
  readonly hides?: boolean;
  /** More about the same thing, one line each, printed below the message. */
  readonly notes?: readonly string[];
}

export interface Position {
  /** From 1. */
  readonly line: number;
  /** From 1. */
  readonly column: number;
}

/** A YAML text with the places of its values; made once per file. */
export interface Source {
  readonly file: string;
  readonly text: string;
  readonly document: Document.Parsed;
  readonly lines: LineCounter;
}

const MAX_ISSUES = 20;
const MAX_LINE_WIDTH = 100;
const NOTE_LINE = /\S(?:.{0,88}\S)?(?=\s|$)/g;
/** YAML 1.2 section 5.1, below U+00A0. */
// oxlint-disable-next-line no-control-regex -- control characters are what it looks for
const NOT_PRINTABLE = /[\u0000-\u0008\u000B\u000C\u000E-\u001F\u007F-\u0084\u0086-\u009F]/;

export function readSource(file: string, text: string): Source {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, logLevel: "error" });
  return { file, text, document, lines };
}

/** All issues as text for people, in the order of the file. */
export function explain(file: string, text: string, issues: readonly Issue[]): string {
  return explainIn(readSource(file, text), issues);
}

/** `explain` for a text that is already parsed. */
export function explainIn(source: Source, issues: readonly Issue[]): string {
  const placed = issues
    .map((issue) => ({ issue, position: positionOf(source, issue.path, issue.atKey) }))
    .toSorted((a, b) => a.position.line - b.position.line || a.position.column - b.position.column);
  return render(
    { ...source, text: withoutSecrets(source, issues) },
    placed.map(({ issue, position }) => ({ position, where: pathText(issue.path), issue })),
  );
}

/** The text with a mark for every character of the values that issues hide, line by line as long as before. */
function withoutSecrets(source: Source, issues: readonly Issue[]): string {
  return issues
    .filter(({ hides }) => hides === true)
    .reduce((text, { path }) => {
      const node = source.document.getIn(path, true);
      const [start, end] = rangeOf(node) ?? [0, 0];
      return text.slice(0, start) + text.slice(start, end).replaceAll(/[^\r\n]/g, "*") + text.slice(end);
    }, source.text);
}

/** What makes the text no usable YAML, in the same look; undefined when the text is well-formed. */
export function explainSyntax(source: Source): string | undefined {
  const faults = syntaxFaults(source);
  if (faults.length === 0) return undefined;
  const placed = faults.map(({ offset, message }) => ({
    position: positionAt(source, offset),
    where: "",
    issue: { path: [], message },
  }));
  return render(source, placed);
}

interface Fault {
  readonly offset: number;
  readonly message: string;
}

/** The parser's own errors, and what it lets through that no value of ours can hold. */
function syntaxFaults({ text, document }: Source): readonly Fault[] {
  // The parser is recursive; what it cannot hold, nothing after it can.
  const tooDeep = document.errors.find(({ message }) => message.startsWith("Maximum call stack"));
  if (tooDeep !== undefined) return [{ offset: tooDeep.pos[0], message: "Nested too deeply" }];
  if (document.errors.length > 0) {
    return document.errors.map(({ code, pos, message }) => ({
      offset: pos[0],
      message: code === "MULTIPLE_DOCS" ? "A second document begins here" : (message.split("\n", 1)[0] ?? ""),
    }));
  }
  const control = text.search(NOT_PRINTABLE);
  if (control >= 0) return [{ offset: control, message: "A control character, which YAML does not allow" }];
  const faults: Fault[] = [];
  visit(document, {
    Alias(_, alias) {
      if (alias.resolve(document) === undefined)
        faults.push({
          offset: startOf(alias) ?? 0,
          message: `No anchor "${alias.source}" comes before this`,
        });
    },
    Scalar(key, { value, range }) {
      const offset = range?.[0] ?? 0;
      if (key === "key" && value === "__proto__")
        faults.push({ offset, message: 'The key "__proto__" is not allowed' });
    },
  });
  return faults;
}

/** Where the value at `path` begins, or its key with `atKey`; the nearest parent's key when there is no such value. */
export function positionOf(source: Source, path: readonly (string | number)[], atKey = false): Position {
  let node: unknown = source.document.contents;
  let key: unknown = node;
  for (const [depth, step] of path.entries()) {
    const pair = childOf(source, node, step);
    if (pair === undefined) return positionAt(source, startOf(key));
    if (depth === path.length - 1) {
      return positionAt(source, startOf(atKey || startOf(pair.value) === undefined ? pair.key : pair.value));
    }
    key = pair.key;
    node = pair.value;
  }
  return positionAt(source, startOf(node));
}

interface Placed {
  readonly position: Position;
  readonly where: string;
  readonly issue: Issue;
}

function render(source: Source, placed: readonly Placed[]): string {
  const blocks = placed.slice(0, MAX_ISSUES).map((item) => block(source, item));
  const more = placed.length - blocks.length;
  return [...blocks, ...(more > 0 ? [`and ${more} more`] : [])].join("\n\n");
}

function block(source: Source, { position, where, issue }: Placed): string {
  const { line, column } = position;
  const head = `${source.file}:${line}:${column}${where === "" ? "" : `  ${where}`}`;
  const { shown, offset } = excerpt(lineText(source.text, line), column);
  const number = String(line).padStart(4);
  const margin = `${" ".repeat(number.length)} |`;
  const caret = `${margin} ${" ".repeat(offset)}^ ${issue.message}`;
  const notes = (issue.notes ?? [])
    .flatMap((note) => wrapped(note))
    .map((note) => `${margin} ${" ".repeat(offset)}  ${note}`);
  return [head, `${number} | ${shown}`, caret, ...notes].join("\n");
}

/** Lines of whole words. */
function wrapped(text: string): readonly string[] {
  return text.match(NOTE_LINE) ?? [text];
}

/** The part of a line around `column` that fits a terminal, control characters made harmless. */
function excerpt(line: string, column: number): { readonly shown: string; readonly offset: number } {
  // A file's own bytes must not steer the reader's terminal.
  const safe = line.replaceAll("\t", " ").replaceAll(/\p{Cc}/gu, "\u{FFFD}");
  const at = Math.min(column - 1, safe.length);
  const start = at < MAX_LINE_WIDTH * 0.8 ? 0 : at - Math.floor(MAX_LINE_WIDTH / 2);
  const prefix = start > 0 ? "…" : "";
  const suffix = safe.length > start + MAX_LINE_WIDTH ? "…" : "";
  return {
    shown: prefix + safe.slice(start, start + MAX_LINE_WIDTH) + suffix,
    offset: at - start + prefix.length,
  };
}

function lineText(text: string, line: number): string {
  return (text.split("\n", line)[line - 1] ?? "").replace(/\r$/, "");
}

function pathText(path: readonly (string | number)[]): string {
  return path
    .map((step) => (typeof step === "number" ? `[${step}]` : /^[\w-]+$/.test(step) ? step : `"${step}"`))
    .join(".")
    .replaceAll(".[", "[")
    .replaceAll(/\p{Cc}/gu, "\u{FFFD}");
}

function childOf(source: Source, node: unknown, step: string | number): Pair | undefined {
  const target = isAlias(node) ? node.resolve(source.document) : node;
  if (isMap(target)) {
    return target.items.find(
      (pair) => String(isScalar(pair.key) ? pair.key.value : pair.key) === String(step),
    );
  }
  if (isSeq(target)) {
    const item = target.items[Number(step)];
    return item === undefined ? undefined : ({ key: item, value: item } as Pair);
  }
  return undefined;
}

function startOf(node: unknown): number | undefined {
  return rangeOf(node)?.[0];
}

/** Offsets of the first character of a node and of what follows it. */
function rangeOf(node: unknown): readonly [number, number] | undefined {
  if (typeof node !== "object" || node === null || !("range" in node)) return undefined;
  const { range } = node;
  if (!Array.isArray(range)) return undefined;
  const [start, end] = range;
  return typeof start === "number" && typeof end === "number" ? [start, end] : undefined;
}

function positionAt(source: Source, offset: number | undefined): Position {
  const { line, col } = source.lines.linePos(offset ?? 0);
  return { line: Math.max(line, 1), column: Math.max(col, 1) };
}
