/** Frames one file: bytes to lines, CRI wrappers taken off, lines joined to events. */
import type { Chunk } from "../sources/chunk.ts";
import { Assembler } from "./assembler.ts";
import { readCri } from "./cri.ts";
import type { Events, Framer } from "./events.ts";
import { LineSplitter } from "./line-splitter.ts";
import type { Lines } from "./line-splitter.ts";
import { showMarks } from "./marked-text.ts";
import type { LineJoiner } from "./line-joiner.ts";
import { joinersOf } from "./multiline.ts";
import type { Multiline } from "./multiline.ts";
import type { Piece } from "./pending-event.ts";

export interface FramerOptions {
  /** Whether lines carry the wrapper of a container runtime. */
  readonly cri: boolean;
  /** Undefined: every line is an event. */
  readonly multiline?: Multiline | undefined;
  /** Bytes of a line that CRI parts are put together to. */
  readonly maxLine: number;
}

/**
 * What makes a framer for each file; patterns are compiled once. Empty lines are left out, except within an event of several
 * lines. Throws `PatternError` for a pattern that the engine does not take.
 */
export function createFramers(options: FramerOptions): () => Framer {
  const { cri, multiline } = options;
  if (!cri && multiline === undefined) return () => new LineFramer();
  const createJoiner = multiline === undefined ? undefined : joinersOf(multiline);
  return () => new JoiningFramer(options, createJoiner);
}

/** Every line is an event. */
class LineFramer implements Framer {
  readonly #splitter = new LineSplitter({ keepsEmpty: false });

  get pendingFrom(): number | undefined {
    return this.#splitter.pendingFrom;
  }

  push(chunk: Chunk): Events {
    const before = this.#splitter.follows(chunk) ? undefined : this.flush();
    if (before !== undefined) this.#splitter.restart();
    const events = this.#eventsOf(this.#splitter.split(chunk));
    const all = before === undefined || before.texts.length === 0 ? events : concat(before, events);
    return chunk.isLast && this.pendingFrom !== undefined ? concat(all, this.flush()) : all;
  }

  flush(): Events {
    return this.#eventsOf(this.#splitter.takeCarry());
  }

  #eventsOf({ texts, ends, cuts }: Lines): Events {
    const shown = this.#splitter.hasMarks ? texts.map((text) => showMarks(text)) : texts;
    return cuts === undefined ? { texts: shown, ends } : { texts: shown, ends, cuts };
  }
}

/** Lines carry wrappers, or belong together. */
class JoiningFramer implements Framer {
  readonly #cri: boolean;
  readonly #splitter = new LineSplitter({ keepsEmpty: true });
  readonly #assembler: Assembler;
  #ready: Piece[] = [];

  constructor({ cri, multiline, maxLine }: FramerOptions, createJoiner: (() => LineJoiner) | undefined) {
    this.#cri = cri;
    this.#assembler = new Assembler({
      createJoiner,
      maxLines: multiline?.maxLines ?? 1,
      maxBytes: multiline?.maxBytes ?? maxLine,
      maxLine,
      emit: (event) => {
        this.#ready.push(event);
      },
    });
  }

  get pendingFrom(): number | undefined {
    return this.#assembler.pendingFrom ?? this.#splitter.pendingFrom;
  }

  push(chunk: Chunk): Events {
    if (!this.#splitter.follows(chunk)) {
      this.#finish();
      this.#splitter.restart();
    }
    this.#add(this.#splitter.split(chunk));
    if (chunk.isLast) this.#finish();
    return this.#take();
  }

  flush(): Events {
    this.#finish();
    return this.#take();
  }

  #finish(): void {
    this.#add(this.#splitter.takeCarry());
    this.#assembler.flush();
  }

  #add({ texts, ends, start, cuts }: Lines): void {
    let from = start;
    for (const [index, text] of texts.entries()) {
      const end = ends[index] ?? from;
      const isCut = cuts?.has(index) ?? false;
      const entry = this.#cri && !isCut ? readCri(text) : undefined;
      const size = end - from - 1 - (text.length - (entry?.text.length ?? text.length));
      const place = { start: from, end, size, isCut };
      if (entry === undefined) {
        this.#assembler.add({ ...place, text, time: undefined, stream: undefined }, false);
      } else {
        const { time, stream, isPartial } = entry;
        this.#assembler.add({ ...place, text: entry.text, time, stream }, isPartial);
      }
      from = end;
    }
  }

  #take(): Events {
    const ready = this.#ready;
    this.#ready = [];
    const shown = this.#splitter.hasMarks;
    const cuts = new Set(ready.flatMap(({ isCut }, index) => (isCut ? [index] : [])));
    return {
      texts: ready.map(({ text }) => (shown ? showMarks(text) : text)),
      ends: ready.map(({ end }) => end),
      ...(this.#cri
        ? { times: ready.map(({ time }) => time), streams: ready.map(({ stream }) => stream) }
        : {}),
      ...(cuts.size === 0 ? {} : { cuts }),
    };
  }
}

function concat(first: Events, second: Events): Events {
  const offset = first.texts.length;
  const cuts = new Set([...(first.cuts ?? []), ...Array.from(second.cuts ?? [], (index) => index + offset)]);
  const both = { texts: [...first.texts, ...second.texts], ends: [...first.ends, ...second.ends] };
  return cuts.size === 0 ? both : { ...both, cuts };
}
