// What a code point is for counting. Unicode's own tables would be larger than the tool; these are their great blocks.

export function isLineBreak(point: i32): bool {
  return (point >= 0x0a && point <= 0x0d) || point == 0x85 || point == 0x2028 || point == 0x2029;
}

export function isSpace(point: i32): bool {
  if (point == 0x20 || point == 0x09 || point == 0xa0 || isLineBreak(point)) return true;
  return (point >= 0x2000 && point <= 0x200a) || point == 0x1680 || point == 0x202f || point == 0x205f || point == 0x3000;
}

/** `.` `!` `?` `…` and their Arabic, Devanagari and East Asian forms. */
export function isSentenceEnd(point: i32): bool {
  if (point == 0x2e || point == 0x21 || point == 0x3f || point == 0x2026) return true;
  if (point == 0x061f || point == 0x06d4 || point == 0x0964) return true;
  return point == 0x3002 || point == 0xff01 || point == 0xff1f || point == 0xff0e;
}

/** Scripts without spaces between words: each Han character and kana counts as a word. */
export function isIdeograph(point: i32): bool {
  if (point < 0x3040) return false;
  if (point <= 0x30ff) return point != 0x30fb && point != 0x30fc;
  return (point >= 0x3400 && point <= 0x9fff) || (point >= 0xf900 && point <= 0xfaff) || (point >= 0x20000 && point <= 0x3ffff);
}

/** An apostrophe, a hyphen, a point or a comma between two word characters belongs to the word. */
export function joinsWord(point: i32): bool {
  return point == 0x27 || point == 0x2019 || point == 0x2d || point == 0x2010 || point == 0x2011 || point == 0x2e || point == 0x2c;
}

export function isWordCharacter(point: i32): bool {
  if (point < 0x80) return isAsciiWord(point);
  if (point < 0xc0) return point == 0xaa || point == 0xb2 || point == 0xb3 || point == 0xb5 || point == 0xb9 || point == 0xba;
  if (point == 0xd7 || point == 0xf7) return false;
  if (point < 0x2000) return !isSpace(point) && !isSentenceEnd(point) && !isOldPunctuation(point);
  // Zero-width joiners hold letters together in Indic and Arabic scripts.
  if (point == 0x200c || point == 0x200d) return true;
  if (point <= 0x206f) return false;
  if (point >= 0x2190 && point <= 0x2bff) return false;
  if (point >= 0x2e00 && point <= 0x2e7f) return false;
  if (point >= 0x3000 && point <= 0x303f) return point == 0x3005 || point == 0x3007;
  if (point == 0x30fb || (point >= 0xd800 && point <= 0xf8ff)) return false;
  if (point >= 0xfe10 && point <= 0xfe6f) return false;
  if (point >= 0xff00 && point <= 0xff0f) return false;
  if ((point >= 0xff1a && point <= 0xff20) || (point >= 0xff3b && point <= 0xff40)) return false;
  if ((point >= 0xff5b && point <= 0xff65) || point >= 0xe0000) return false;
  return !(point >= 0x1f000 && point <= 0x1faff) && !(point >= 0xfff0 && point <= 0xffff);
}

function isAsciiWord(point: i32): bool {
  if (point >= 0x30 && point <= 0x39) return true;
  const letter = point | 0x20;
  return (letter >= 0x61 && letter <= 0x7a) || point == 0x5f;
}

function isOldPunctuation(point: i32): bool {
  if (point == 0x37e || point == 0x387 || point == 0x589 || point == 0x58a) return true;
  if (point >= 0x5be && point <= 0x5f4) return point == 0x5be || point == 0x5c0 || point == 0x5c3 || point == 0x5c6 || point >= 0x5f3;
  return point == 0x60c || point == 0x61b || point == 0x66a || point == 0x66b || point == 0x66c || point == 0x965;
}
