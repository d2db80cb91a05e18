// What the calculator can do with numbers, and when it refuses.
import {
  added,
  Decimal,
  EXPONENT_MAX,
  multiplied,
  order,
  PRECISION,
  quotient,
  rounded,
  squareRoot,
  subtracted,
  toPlaces,
  whole,
} from "./decimal";
import { divided, shifted } from "./digits";

const POWER_MAX = 100_000;
const GUARD = 12;
const PLACES_MAX = 50;

/** A number, or the words that say why there is none. */
export class Outcome {
  constructor(readonly value: Decimal, readonly error: string) {}

  static of(value: Decimal): Outcome {
    if (!value.isZero() && value.magnitude() > EXPONENT_MAX) return Outcome.failed("The result is too large.");
    if (!value.isZero() && value.magnitude() < -EXPONENT_MAX) return Outcome.failed("The result is too close to zero.");
    return new Outcome(value, "");
  }

  static failed(words: string): Outcome {
    return new Outcome(Decimal.of(0), words);
  }
}

export function divide(a: Decimal, b: Decimal): Outcome {
  return b.isZero() ? Outcome.failed("Division by zero.") : Outcome.of(quotient(a, b));
}

/** What is left of `a` after whole `b`s, with the sign of `b`. */
export function modulo(a: Decimal, b: Decimal): Outcome {
  if (b.isZero()) return Outcome.failed("Division by zero.");
  if (a.magnitude() - b.magnitude() > PRECISION) {
    return Outcome.failed("The numbers of % are too far apart for an exact rest.");
  }
  const exponent = a.exponent < b.exponent ? a.exponent : b.exponent;
  const right = shifted(b.digits, b.exponent - exponent);
  const rest = new Decimal(a.negative, divided(shifted(a.digits, a.exponent - exponent), right).rest, exponent);
  if (rest.isZero()) return Outcome.of(Decimal.of(0));
  return Outcome.of(rest.negative == b.negative ? rest : added(rest, b));
}

export function power(base: Decimal, exponent: Decimal): Outcome {
  if (base.isZero() && exponent.negative) return Outcome.failed("Division by zero: 0 has no negative power.");
  if (exponent.isWhole()) return wholePower(base, exponent);
  const doubled = multiplied(exponent, Decimal.of(2));
  if (!doubled.isWhole()) {
    return Outcome.failed("Only whole exponents and halves such as 0.5 can be calculated exactly.");
  }
  if (base.negative) return Outcome.failed("A negative number has no real square root.");
  const squared = wholePower(base, doubled);
  return squared.error != "" ? squared : Outcome.of(squareRoot(squared.value));
}

function wholePower(base: Decimal, exponent: Decimal): Outcome {
  const times = small(exponent.absolute());
  if (times < 0) return Outcome.failed("The exponent is too large.");
  let result = Decimal.of(1);
  let square = base.plain();
  for (let left = times; left > 0; left >>= 1) {
    if ((left & 1) == 1) result = multiplied(result, square, PRECISION + GUARD);
    const checked = Outcome.of(result);
    if (checked.error != "") return checked;
    if (left > 1) square = multiplied(square, square, PRECISION + GUARD);
    // Beyond the bound every further square only goes on in the same direction.
    if (left > 1 && !square.isZero() && abs(square.magnitude()) > 2 * EXPONENT_MAX) {
      return Outcome.failed(square.magnitude() > 0 ? "The result is too large." : "The result is too close to zero.");
    }
  }
  return Outcome.of(exponent.negative ? quotient(Decimal.of(1), result) : rounded(result, PRECISION));
}

/** A function by its name; `values` are its arguments. */
export function call(name: string, values: Decimal[]): Outcome {
  if (name == "min" || name == "max") return extreme(values, name == "max");
  if (name == "round") return round(values);
  if (values.length != 1) {
    const words = name + " takes one value, not " + values.length.toString() + ".";
    return Outcome.failed(words + " Inside a function a comma separates values: write 1000, not 1,000.");
  }
  const value = values[0];
  if (name == "abs") return Outcome.of(value.absolute());
  if (name == "floor") return Outcome.of(whole(value, false));
  if (name == "ceil") return Outcome.of(whole(value, true));
  if (value.negative) return Outcome.failed("A negative number has no real square root.");
  return Outcome.of(squareRoot(value));
}

export function isFunction(name: string): bool {
  return ["sqrt", "abs", "round", "min", "max", "floor", "ceil"].includes(name);
}

export function plus(a: Decimal, b: Decimal): Outcome {
  return Outcome.of(added(a, b));
}

export function minus(a: Decimal, b: Decimal): Outcome {
  return Outcome.of(subtracted(a, b));
}

export function times(a: Decimal, b: Decimal): Outcome {
  return Outcome.of(multiplied(a, b));
}

function extreme(values: Decimal[], largest: bool): Outcome {
  let best = values[0];
  for (let i = 1; i < values.length; i++) {
    if (order(values[i], best) > 0 == largest) best = values[i];
  }
  return Outcome.of(best);
}

function round(values: Decimal[]): Outcome {
  if (values.length > 2) return Outcome.failed("round takes a value and, if you like, a number of places.");
  if (values.length == 1) return Outcome.of(toPlaces(values[0], 0));
  const places = values[1].isWhole() ? small(values[1].absolute()) : -1;
  if (places < 0 || places > PLACES_MAX) {
    return Outcome.failed("round takes a whole number of places up to " + PLACES_MAX.toString() + ".");
  }
  return Outcome.of(toPlaces(values[0], values[1].negative ? -places : places));
}

/** A whole number of at most `POWER_MAX` as an integer, otherwise -1. */
function small(value: Decimal): i32 {
  if (value.magnitude() > 6) return -1;
  let made = 0;
  const digits = shifted(value.plain().digits, value.plain().exponent);
  for (let i = 0; i < digits.length; i++) made = made * 10 + digits[i];
  return made > POWER_MAX ? -1 : made;
}

function abs(value: i32): i32 {
  return value < 0 ? -value : value;
}
