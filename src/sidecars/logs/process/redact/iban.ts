/** Finds international bank account numbers (ISO 13616): country, length and check digits (mod 97) are right. */
import { type Detector, endsEscape, isDigit, isLetter, NOTHING, separatorAt } from "./detector.ts";

/** Country and length, as the SWIFT registry lists them. */
const COUNTRIES =
  "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 EE20 EG29 " +
  "ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 " +
  "LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 " +
  "PT25 QA29 RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30";
const LENGTHS: ReadonlyMap<string, number> = new Map(
  COUNTRIES.split(" ").map((entry) => [entry.slice(0, 2), Number(entry.slice(2))]),
);
const GROUP = 4;
/** Upper case, as the standard has it on paper and on the wire. */
const CANDIDATE = /[A-Z]{2}\d{2}[ +%-]?[A-Z0-9]{4}/;
const HEAD = /[A-Z]{2}\d{2}/g;

export const iban: Detector = {
  mayHold: (text) => CANDIDATE.test(text),

  find(text) {
    let spans: number[] | undefined;
    HEAD.lastIndex = 0;
    for (let head = HEAD.exec(text); head !== null; head = HEAD.exec(text)) {
      const end = isFree(text, head.index) ? endOfIban(text, head.index) : 0;
      if (end === 0) continue;
      (spans ??= []).push(head.index, end);
      HEAD.lastIndex = end;
    }
    return spans ?? NOTHING;
  },
};

function isFree(text: string, start: number): boolean {
  return start === 0 || !isAlphanumeric(text.charCodeAt(start - 1)) || endsEscape(text, start);
}

/** 0 where the number is none. */
function endOfIban(text: string, start: number): number {
  const length = LENGTHS.get(text.slice(start, start + 2));
  if (length === undefined) return 0;
  let at = start;
  let number = "";
  while (number.length < length) {
    if (number.length > 0 && number.length % GROUP === 0) at += separatorAt(text, at);
    const code = text.charCodeAt(at);
    if (!isDigit(code) && !isCapital(code)) return 0;
    number += text.charAt(at);
    at++;
  }
  return !isAlphanumeric(text.charCodeAt(at)) && hasRightCheck(number) ? at : 0;
}

/** ISO 7064, MOD 97-10: letters count as 10 to 35, the first four characters stand at the end. */
function hasRightCheck(number: string): boolean {
  let rest = 0;
  for (let index = 0; index < number.length; index++) {
    const code = number.charCodeAt((index + GROUP) % number.length);
    rest = isDigit(code) ? (rest * 10 + code - 0x30) % 97 : (rest * 100 + code - 0x37) % 97;
  }
  return rest === 1;
}

function isCapital(code: number): boolean {
  return code >= 0x41 && code <= 0x5a;
}

function isAlphanumeric(code: number): boolean {
  return isLetter(code) || isDigit(code);
}
