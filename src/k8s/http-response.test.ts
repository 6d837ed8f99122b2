import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { ResponseReader } from "./http-response.ts";

/** Pushes the text in pieces; `end` as a server that closes. */
function read(text: string, { pieces = [text], end = true, limit = 10 } = {}): ResponseReader {
  const reader = new ResponseReader(limit);
  for (const piece of pieces) reader.push(Buffer.from(piece, "latin1"));
  if (end) reader.end();
  return reader;
}

const OK = "HTTP/1.1 200 OK\r\n";

describe("ResponseReader", () => {
  test.each([
    ["a length", `${OK}Content-Length: 5\r\n\r\nhello`, "hello"],
    ["no length", `${OK}\r\nhello`, "hello"],
    ["chunks", `${OK}Transfer-Encoding: Chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n`, "hello"],
    ["nothing", `${OK}content-length: 0\r\n\r\n`, ""],
    ["no status text", "HTTP/1.0 200\r\n\r\nhi", "hi"],
    [
      "answers before the final one",
      `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\n${OK}\r\nhi`,
      "hi",
    ],
  ])("reads a body with %s", (_name, text, body) => {
    expect(read(text).response()).toMatchObject({ status: 200, body });
  });

  test("is done as soon as the body is complete, without waiting for the end", () => {
    for (const text of [
      `${OK}Content-Length: 2\r\n\r\nhi`,
      `${OK}Content-Length: 0\r\n\r\n`,
      `${OK}Transfer-Encoding: chunked\r\n\r\n0\r\n`,
      "HTTP/1.1 204 No Content\r\n\r\n",
      "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
    ])
      expect(read(text, { end: false }).isDone).toBe(true);
    expect(read(`${OK}Content-Length: 3\r\n\r\nhi`, { end: false }).isDone).toBe(false);
  });

  test("waits for no more of a body than it was asked for [PR15]", () => {
    for (const head of ["", "Content-Length: 99999999\r\n", "Transfer-Encoding: chunked\r\n"]) {
      const chunk = head.startsWith("T") ? "ffff\r\n" : "";
      const reader = read(`${OK}${head}\r\n${chunk}0123456789abc`, { end: false });
      expect([reader.isDone, reader.response().body]).toEqual([true, "0123456789"]);
    }
  });

  test.each([
    ["", "EOF"],
    ["HTTP/1.1 200 OK\r\nA: b", "unexpected EOF"],
    [`${OK}Content-Length: 9\r\n\r\nhi`, "unexpected EOF"],
    [`${OK}Transfer-Encoding: chunked\r\n\r\n5\r\nhi`, "unexpected EOF"],
    [`${OK}Transfer-Encoding: chunked\r\n\r\nzz\r\n`, "invalid byte in chunk length"],
    [`${OK}Content-Length: -1\r\n\r\n`, 'bad Content-Length "-1"'],
    [`${OK}no colon\r\n\r\n`, "malformed MIME header line: no colon"],
    ["SSH-2.0-x\r\n", 'net/http: HTTP/1.x transport connection broken: malformed HTTP response "SSH-2.0-x"'],
    [
      "\x15\x03\x01\n",
      'net/http: HTTP/1.x transport connection broken: malformed HTTP response "\\x15\\x03\\x01"',
    ],
    [
      "HTTP/1.1 20 OK\r\n\r\n",
      'net/http: HTTP/1.x transport connection broken: malformed HTTP response "HTTP/1.1 20 OK"',
    ],
  ])("%j is refused: %s", (text, message) => {
    expect(() => read(text, { limit: 100 })).toThrow(message);
  });

  test("headers without end are given up", () => {
    const reader = new ResponseReader(10);
    reader.push(Buffer.from(OK));
    const block = Buffer.alloc(65_536, "A: b\r\n");
    expect(() => {
      for (let blocks = 0; blocks < 100; blocks++) reader.push(block);
    }).toThrow("server response headers exceeded");
  });

  test("the line before a chunk has an end", () => {
    const head = `${OK}Transfer-Encoding: chunked\r\n\r\n`;
    for (const rest of ["1;" + "x".repeat(5_000), `1;${"x".repeat(5_000)}\r\nh\r\n`])
      expect(() => read(head + rest, { end: false })).toThrow("header line too long");
  });

  test("takes little more room than the body, however small the chunks are", () => {
    const reader = new ResponseReader(1_000_000);
    reader.push(Buffer.from(`${OK}Transfer-Encoding: chunked\r\n\r\n`));
    const before = process.memoryUsage().arrayBuffers;
    for (let block = 0; block < 100; block++) reader.push(Buffer.from("1\r\nx\r\n".repeat(5_000)));
    reader.push(Buffer.from("0\r\n\r\n"));
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(50_000_000);
    expect(reader.response().body).toBe("x".repeat(500_000));
  });

  test("reads the same in whatever pieces it comes", () => {
    const text = `HTTP/1.1 100 C\r\n\r\n${OK}Transfer-Encoding: chunked\r\nX: y\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n`;
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: text.length - 1 }), { maxLength: 9 }), (cuts) => {
        const at = [0, ...cuts.toSorted((a, b) => a - b), text.length];
        const pieces = at.slice(1).map((end, index) => text.slice(at[index], end));
        const { status, body, headers } = read(text, { pieces }).response();
        expect([status, body, headers.get("x")]).toEqual([200, "hello", "y"]);
      }),
    );
  });

  test("any bytes are an answer or an error, and never hang", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.boolean(), (bytes, isHttp) => {
        const reader = new ResponseReader(10);
        try {
          if (isHttp) reader.push(Buffer.from(`${OK}Transfer-Encoding: chunked\r\n\r\n`));
          reader.push(bytes);
          reader.end();
        } catch (error) {
          expect(error).toBeInstanceOf(Error);
        }
      }),
    );
  });
});
