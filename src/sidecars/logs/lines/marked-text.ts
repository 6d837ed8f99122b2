/**
 * Text out of bytes that are not all UTF-8. A byte that is none becomes a lone surrogate, U+DC80 to U+DCFF, which no UTF-8 can
 * hold: so lines can be cut and joined as text, and a character that a wrapper had cut in half is whole again afterwards.
 */

const MARK = 0xdc00;
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Decodes, marking what is not UTF-8. Linear. */
export function decodeMarked(bytes: Uint8Array): string {
  let text = "";
  let from = 0;
  let at = 0;
  while (at < bytes.length) {
    const length = characterAt(bytes, at);
    if (length > 0) {
      at += length;
      continue;
    }
    if (at > from) text += decoder.decode(bytes.subarray(from, at));
    text += String.fromCharCode(MARK + (bytes[at] ?? 0));
    at++;
    from = at;
  }
  return from < at ? text + decoder.decode(bytes.subarray(from, at)) : text;
}

/** Shows every marked byte as `\xNN`, except where neighbours have become a character by joining. The result is well-formed. */
export function showMarks(text: string): string {
  if (text.isWellFormed()) return text;
  return text.replaceAll(/[\u{DC80}-\u{DCFF}]+/gu, (marks) => {
    const bytes = Uint8Array.from(marks, (mark) => mark.charCodeAt(0) - MARK);
    return decodeMarked(bytes).replaceAll(/[\u{DC80}-\u{DCFF}]/gu, hexOf);
  });
}

/** How many bytes at the end may be the begin of a character or of a line end that goes on behind it. */
export function unfinishedTail(bytes: Uint8Array): number {
  if (bytes.at(-1) === 13) return 1;
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = bytes[bytes.length - back] ?? 0;
    if ((byte & 0xc0) === 0x80) continue;
    const needed = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    return needed > back ? back : 0;
  }
  return 0;
}

/** Length of the UTF-8 sequence at a place, 0 where there is none: no overlong forms, no surrogates, nothing over U+10FFFF. */
function characterAt(bytes: Uint8Array, at: number): number {
  const first = bytes[at] ?? 0;
  if (first < 0x80) return 1;
  if (first < 0xc2 || first > 0xf4) return 0;
  const second = bytes[at + 1] ?? 0;
  if (first < 0xe0) return isContinuation(second) ? 2 : 0;
  const least = first === 0xe0 ? 0xa0 : first === 0xf0 ? 0x90 : 0x80;
  const most = first === 0xed ? 0x9f : first === 0xf4 ? 0x8f : 0xbf;
  if (second < least || second > most || !isContinuation(bytes[at + 2] ?? 0)) return 0;
  if (first < 0xf0) return 3;
  return isContinuation(bytes[at + 3] ?? 0) ? 4 : 0;
}

function isContinuation(byte: number): boolean {
  return (byte & 0xc0) === 0x80;
}

function hexOf(mark: string): string {
  return `\\x${(mark.charCodeAt(0) - MARK).toString(16).toUpperCase()}`;
}
