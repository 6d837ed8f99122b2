import { expect, test } from "bun:test";
import { writeData } from "./spdy-frames.ts";
import { SpdySession, type SpdyStream } from "./spdy-session.ts";
import { synStream } from "./streaming.test-support.ts";

const MUCH = Array.from({ length: 8 }, () => writeData(1, Buffer.alloc(65_536)));

/** Sends one chunk: a stream, and more for it than waits for a reader. */
function openSession() {
  const gone = new AbortController();
  const opened = Promise.withResolvers<SpdyStream>();
  async function* incoming(): AsyncGenerator<Buffer> {
    yield Buffer.concat([synStream(1, { streamtype: "stdin" }, true), ...MUCH]);
  }
  const carrier = {
    incoming: incoming(),
    write: () => Promise.resolve(),
    end: () => undefined,
    gone: gone.signal,
  };
  const session = new SpdySession(carrier, (stream) => opened.resolve(stream));
  return { gone, opened: opened.promise, over: session.run() };
}

/** The session has read by then, and unpacks the headers: a thread does that, whose answer takes a turn of the loop. */
async function read(): Promise<void> {
  for (let turn = 0; turn < 10; turn += 1) await Promise.resolve();
}

test("a client that goes while its stream is being opened holds nothing up", async () => {
  const { gone, opened, over } = openSession();
  await read();
  gone.abort();
  await over;
  expect((await opened).gone.aborted).toBe(true);
});

test("a client that goes while nobody reads what it has sent holds nothing up", async () => {
  const { gone, opened, over } = openSession();
  const stream = await opened;
  gone.abort();
  await over;
  expect(stream.gone.aborted).toBe(true);
});
