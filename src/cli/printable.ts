/** Text of other programs on a terminal: it must not steer it, nor break out of its line. */
export function printable(text: string): string {
  return text.replaceAll(/\s+/gu, " ").replaceAll(/[\p{Cc}\p{Cf}]/gu, "\u{FFFD}");
}
