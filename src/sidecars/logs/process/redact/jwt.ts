/** Finds JSON Web Tokens (RFC 7519): three or five base64url parts of which the first is a JSON object. */
import { type Detector, isDigit, isLetter, NOTHING } from "./detector.ts";

/** base64url of `{"`. */
const HEAD = "eyJ";
/** A header names its algorithm and a few parameters; what is longer is no header. */
const MAX_HEADER = 16_384;
/** An encrypted token (RFC 7516) has five. */
const MAX_PARTS = 5;
const DOT = 0x2e;

export const jwt: Detector = {
  mayHold: (text) => text.includes(HEAD),

  find(text) {
    let spans: number[] | undefined;
    let at = text.indexOf(HEAD);
    while (at >= 0) {
      const headerEnd = endOfPart(text, at);
      const bodyEnd = text.charCodeAt(headerEnd) === DOT ? endOfPart(text, headerEnd + 1) : 0;
      let next = headerEnd;
      if (
        bodyEnd > headerEnd + 1 &&
        text.charCodeAt(bodyEnd) === DOT &&
        isHeader(text.slice(at, headerEnd))
      ) {
        next = endOfToken(text, bodyEnd);
        (spans ??= []).push(at, next);
      }
      at = text.indexOf(HEAD, next);
    }
    return spans ?? NOTHING;
  },
};

/** From the dot behind the second part on; the signature may be empty (`alg: none`). */
function endOfToken(text: string, dot: number): number {
  let end = dot;
  for (let parts = 2; parts < MAX_PARTS && text.charCodeAt(end) === DOT; parts++) {
    const next = endOfPart(text, end + 1);
    // A full stop behind the third part ends a sentence.
    if (parts > 2 && next === end + 1) break;
    end = next;
  }
  return end;
}

function endOfPart(text: string, start: number): number {
  let end = start;
  for (let code = text.charCodeAt(end); isBase64Url(code); code = text.charCodeAt(end)) end++;
  return end;
}

function isBase64Url(code: number): boolean {
  return isLetter(code) || isDigit(code) || code === 0x2d || code === 0x5f;
}

function isHeader(part: string): boolean {
  if (part.length > MAX_HEADER) return false;
  try {
    return typeof JSON.parse(Buffer.from(part, "base64url").toString()) === "object";
  } catch {
    return false;
  }
}
