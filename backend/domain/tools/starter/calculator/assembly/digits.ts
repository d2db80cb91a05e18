// Natural numbers as decimal digits, most significant first and without leading zeros; an empty array is 0.

export type Digits = Array<u8>;

export function stripped(digits: Digits): Digits {
  let zeros = 0;
  while (zeros < digits.length && digits[zeros] == 0) zeros++;
  return zeros == 0 ? digits : digits.slice(zeros);
}

/** The digits with `count` zeros behind. */
export function shifted(digits: Digits, count: i32): Digits {
  if (digits.length == 0 || count == 0) return digits;
  const made = digits.slice(0);
  for (let i = 0; i < count; i++) made.push(0);
  return made;
}

/** Less than, equal to or greater than 0, as `a` is to `b`. */
export function compared(a: Digits, b: Digits): i32 {
  if (a.length != b.length) return a.length - b.length;
  for (let i = 0; i < a.length; i++) {
    if (a[i] != b[i]) return (a[i] as i32) - (b[i] as i32);
  }
  return 0;
}

export function sum(a: Digits, b: Digits): Digits {
  const size = max(a.length, b.length) + 1;
  const made = zeros(size);
  let carry = 0;
  for (let i = 1; i <= size; i++) {
    const total = digitFromEnd(a, i) + digitFromEnd(b, i) + carry;
    made[size - i] = (total % 10) as u8;
    carry = total / 10;
  }
  return stripped(made);
}

/** `a - b`, where `a` is not less than `b`. */
export function difference(a: Digits, b: Digits): Digits {
  const made = zeros(a.length);
  let borrow = 0;
  for (let i = 1; i <= a.length; i++) {
    let left = digitFromEnd(a, i) - digitFromEnd(b, i) - borrow;
    borrow = left < 0 ? 1 : 0;
    if (left < 0) left += 10;
    made[a.length - i] = left as u8;
  }
  return stripped(made);
}

export function product(a: Digits, b: Digits): Digits {
  if (a.length == 0 || b.length == 0) return [];
  const made = zeros(a.length + b.length);
  for (let i = a.length - 1; i >= 0; i--) {
    let carry = 0;
    for (let k = b.length - 1; k >= 0; k--) {
      const total = (made[i + k + 1] as i32) + (a[i] as i32) * (b[k] as i32) + carry;
      made[i + k + 1] = (total % 10) as u8;
      carry = total / 10;
    }
    made[i] = carry as u8;
  }
  return stripped(made);
}

export class Division {
  constructor(readonly quotient: Digits, readonly rest: Digits) {}
}

/** Long division; `b` is not 0. */
export function divided(a: Digits, b: Digits): Division {
  const quotient = zeros(a.length);
  let rest: Digits = [];
  for (let i = 0; i < a.length; i++) {
    if (rest.length > 0 || a[i] != 0) rest.push(a[i]);
    let times: u8 = 0;
    while (compared(rest, b) >= 0) {
      rest = difference(rest, b);
      times++;
    }
    quotient[i] = times;
  }
  return new Division(stripped(quotient), rest);
}

/** The whole part of the square root, by pairs of digits. `rest` is what its square leaves. */
export function root(a: Digits): Division {
  let made: Digits = [];
  let rest: Digits = [];
  for (let i = a.length % 2 == 0 ? 0 : -1; i < a.length; i += 2) {
    rest = stripped(pushed(pushed(rest, i < 0 ? 0 : a[i]), a[i + 1]));
    const twice = shifted(sum(made, made), 1);
    let digit: u8 = 0;
    // The next digit d is the largest for which (20 * made + d) * d fits into the rest: d odd steps of it.
    let step = sum(twice, [1]);
    while (compared(rest, step) >= 0) {
      rest = difference(rest, step);
      step = sum(step, [2]);
      digit++;
    }
    made = stripped(pushed(made, digit));
  }
  return new Division(made, rest);
}

function pushed(digits: Digits, digit: u8): Digits {
  const made = digits.slice(0);
  made.push(digit);
  return made;
}

function zeros(size: i32): Digits {
  return new Array<u8>(size).fill(0);
}

function digitFromEnd(digits: Digits, position: i32): i32 {
  return position <= digits.length ? (digits[digits.length - position] as i32) : 0;
}

function max(a: i32, b: i32): i32 {
  return a > b ? a : b;
}
