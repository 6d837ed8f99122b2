/** Contract of the patterns that redaction looks for. */

export interface Detector {
  /**
   * False where the text holds nothing of the kind, and no part of it does: then neither do the fields made of it. Fast,
   * because it answers for every record; a wrong "true" costs only time.
   */
  mayHold(text: string): boolean;
  /** Start and end of what is to be masked: ascending, not overlapping, in UTF-16 units. Linear in the text. */
  find(text: string): readonly number[];
  /** Whether the name of a field alone says that its value is of the kind. */
  isSecretName?(name: string): boolean;
}

/** A text and the part of it that must not be there any more once it is masked. */
export interface Sample {
  readonly text: string;
  readonly secret: string;
}

export const NOTHING: readonly number[] = [];

const BACKSLASH = 0x5c;
const PERCENT = 0x25;
const SMALL_U = 0x75;

/** Whether an escape (`\n`, `\u003d`, `%3D`) ends right before `at`: its last character is no neighbour then. */
export function endsEscape(text: string, at: number): boolean {
  return (
    text.charCodeAt(at - 2) === BACKSLASH ||
    (text.charCodeAt(at - 3) === PERCENT &&
      isHex(text.charCodeAt(at - 2)) &&
      isHex(text.charCodeAt(at - 1))) ||
    (text.charCodeAt(at - 6) === BACKSLASH && text.charCodeAt(at - 5) === SMALL_U)
  );
}

export function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39;
}

export function isLetter(code: number): boolean {
  const lower = code | 0x20;
  return lower >= 0x61 && lower <= 0x7a;
}

export function isHex(code: number): boolean {
  const lower = code | 0x20;
  return isDigit(code) || (lower >= 0x61 && lower <= 0x66);
}

/** Length of the separator that may stand between groups of digits at `at`; 0 where there is none. */
export function separatorAt(text: string, at: number): number {
  const code = text.charCodeAt(at);
  // A space, a dash, and a space as URLs write it.
  if (code === 0x20 || code === 0x2d || code === 0x2b) return 1;
  return code === PERCENT && text.charCodeAt(at + 1) === 0x32 && text.charCodeAt(at + 2) === 0x30 ? 3 : 0;
}
