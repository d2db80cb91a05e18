// Decimal numbers: exact up to 50 significant digits, then rounded half to even, as accountants expect of 0.1 + 0.2.
import { compared, difference, Digits, divided, product, root, shifted, stripped, sum } from "./digits";

/** Significant digits of every result. */
export const PRECISION = 50;

/** Powers of ten beyond which a result is refused. */
export const EXPONENT_MAX = 9999;

/** `digits * 10^exponent`, negative or not. */
export class Decimal {
  constructor(readonly negative: bool, readonly digits: Digits, readonly exponent: i32) {}

  static of(value: i32): Decimal {
    return parsed(value.toString());
  }

  isZero(): bool {
    return this.digits.length == 0;
  }

  /** The power of ten of the first digit. */
  magnitude(): i32 {
    return this.digits.length + this.exponent - 1;
  }

  negated(): Decimal {
    return new Decimal(!this.negative && !this.isZero(), this.digits, this.exponent);
  }

  absolute(): Decimal {
    return new Decimal(false, this.digits, this.exponent);
  }

  /** Whether it has no digits behind the point. */
  isWhole(): bool {
    return this.isZero() || this.plain().exponent >= 0;
  }

  /** Without zeros at the end. */
  plain(): Decimal {
    let size = this.digits.length;
    while (size > 0 && this.digits[size - 1] == 0) size--;
    if (size == 0) return new Decimal(false, [], 0);
    return new Decimal(this.negative, this.digits.slice(0, size), this.exponent + this.digits.length - size);
  }
}

/** Digits with at most one point, and no sign. */
export function parsed(text: string): Decimal {
  const digits: Digits = [];
  let behind = 0;
  let point = false;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code == 0x2e) {
      point = true;
      continue;
    }
    digits.push((code - 0x30) as u8);
    if (point) behind++;
  }
  return new Decimal(false, stripped(digits), -behind).plain();
}

export function rounded(value: Decimal, precision: i32): Decimal {
  return settled(value.negative, value.digits, value.exponent, precision, false);
}

export function added(a: Decimal, b: Decimal): Decimal {
  if (a.isZero()) return rounded(b, PRECISION);
  if (b.isZero()) return rounded(a, PRECISION);
  if (a.magnitude() < b.magnitude()) return added(b, a);
  const low = negligible(a, b) ? new Decimal(b.negative, [1], a.magnitude() - PRECISION - 3) : b;
  const exponent = a.exponent < low.exponent ? a.exponent : low.exponent;
  const left = shifted(a.digits, a.exponent - exponent);
  const right = shifted(low.digits, low.exponent - exponent);
  if (a.negative == low.negative) return settled(a.negative, sum(left, right), exponent, PRECISION, false);
  const order = compared(left, right);
  if (order == 0) return new Decimal(false, [], 0);
  if (order > 0) return settled(a.negative, difference(left, right), exponent, PRECISION, false);
  return settled(low.negative, difference(right, left), exponent, PRECISION, false);
}

/** So far below the last digit of `a` that only its sign can turn a rounding. */
function negligible(a: Decimal, b: Decimal): bool {
  const last = a.exponent < a.magnitude() - PRECISION ? a.exponent : a.magnitude() - PRECISION;
  return b.magnitude() < last - 2 && a.digits.length <= PRECISION;
}

export function subtracted(a: Decimal, b: Decimal): Decimal {
  return added(a, b.negated());
}

export function multiplied(a: Decimal, b: Decimal, precision: i32 = PRECISION): Decimal {
  const digits = product(a.digits, b.digits);
  return settled(a.negative != b.negative, digits, a.exponent + b.exponent, precision, false);
}

/** `a / b`, where `b` is not 0. */
export function quotient(a: Decimal, b: Decimal, precision: i32 = PRECISION): Decimal {
  if (a.isZero()) return a;
  const more = precision + 2 + b.digits.length - a.digits.length;
  const shift = more > 0 ? more : 0;
  const division = divided(shifted(a.digits, shift), b.digits);
  const exponent = a.exponent - b.exponent - shift;
  return settled(a.negative != b.negative, division.quotient, exponent, precision, division.rest.length > 0);
}

/** The root of a number that is not negative. */
export function squareRoot(a: Decimal): Decimal {
  if (a.isZero()) return a;
  let shift = 2 * (PRECISION + 2) - a.digits.length;
  if (shift < 0) shift = 0;
  if (((a.exponent - shift) & 1) != 0) shift++;
  const found = root(shifted(a.digits, shift));
  return settled(false, found.quotient, (a.exponent - shift) / 2, PRECISION, found.rest.length > 0).plain();
}

/** The whole number at or below; `up` takes the one at or above. */
export function whole(a: Decimal, up: bool): Decimal {
  if (a.isWhole()) return a;
  const kept = a.digits.length + a.exponent;
  const front = new Decimal(a.negative, kept > 0 ? a.digits.slice(0, kept) : [], 0);
  if (up == a.negative) return front.plain();
  return added(front, up ? Decimal.of(1) : Decimal.of(1).negated());
}

/** Rounded to `places` behind the point, halves away from zero as in school. */
export function toPlaces(a: Decimal, places: i32): Decimal {
  const dropped = -places - a.exponent;
  if (dropped <= 0) return a;
  const kept = a.digits.length - dropped;
  if (kept < 0) return new Decimal(false, [], 0);
  const front = stripped(a.digits.slice(0, kept));
  const up = a.digits[kept] >= 5;
  return new Decimal(a.negative, up ? sum(front, [1]) : front, -places).plain();
}

/** Less than, equal to or greater than 0, as `a` is to `b`. */
export function order(a: Decimal, b: Decimal): i32 {
  const left = subtracted(a, b);
  return left.isZero() ? 0 : left.negative ? -1 : 1;
}

/** Round to `precision` digits, half to even; `more` says that digits follow that are not here. */
function settled(negative: bool, digits: Digits, exponent: i32, precision: i32, more: bool): Decimal {
  const dropped = digits.length - precision;
  if (dropped <= 0) return new Decimal(negative && digits.length > 0, digits, exponent);
  const kept = digits.slice(0, precision);
  const first = digits[precision];
  let rest = more;
  for (let i = precision + 1; i < digits.length && !rest; i++) rest = digits[i] != 0;
  const up = first > 5 || (first == 5 && (rest || (kept[precision - 1] & 1) == 1));
  return new Decimal(negative, up ? sum(kept, [1]) : kept, exponent + dropped);
}
