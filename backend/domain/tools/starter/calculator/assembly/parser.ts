// The grammar, from loose to tight: sum, product, sign, power, percentage, value.
import { Decimal, multiplied, parsed, PRECISION } from "./decimal";
import { call, divide, isFunction, minus, modulo, Outcome, plus, power, times } from "./operations";

const LENGTH_MAX = 2000;
const DEPTH_MAX = 64;
const EXPONENT_DIGITS = 5;
const OF = 0x6f66;
const PI = "3.1415926535897932384626433832795028841971693993751";

/** A value on its way; a percentage remembers it, because 200 + 10% means 10% of 200. */
class Term {
  constructor(readonly value: Decimal, readonly percent: bool) {}
}

export class Calculation {
  error: string = "";
  private at: i32 = 0;
  private depth: i32 = 0;
  private inFunction: bool = false;

  constructor(private readonly source: string) {}

  /** The value, or `null`: then `error` says what is wrong. */
  result(): Decimal | null {
    if (this.source.length > LENGTH_MAX) {
      return this.none("The expression is longer than " + LENGTH_MAX.toString() + " characters.");
    }
    const term = this.sum();
    if (term === null) return null;
    if (this.peek() >= 0) return this.none(this.unexpected("an operator"));
    return term.value;
  }

  private sum(): Term | null {
    if (++this.depth > DEPTH_MAX) {
      return this.stop("The expression is nested more than " + DEPTH_MAX.toString() + " levels deep.");
    }
    let left = this.product();
    while (left !== null) {
      const negative = this.takeMinus();
      if (!negative && !this.take(0x2b)) break;
      const right = this.product();
      if (right === null) return null;
      const amount = right.percent ? multiplied(left.value, right.value) : right.value;
      left = this.settle(negative ? minus(left.value, amount) : plus(left.value, amount));
    }
    this.depth--;
    return left;
  }

  private product(): Term | null {
    let left = this.signed();
    while (left !== null) {
      const operator = this.productOperator(left);
      if (operator == 0) return left;
      const right = this.signed();
      if (right === null) return null;
      // 5% of 20% is a percentage itself, of what follows.
      const percent = operator == OF && right.percent;
      left = this.settle(applied(operator, left.value, right.value), percent);
    }
    return null;
  }

  /** `*`, `/`, `%` or `OF` as the operator is meant, 0 for none of them. */
  private productOperator(left: Term): i32 {
    const code = this.peek();
    if (code == 0x2a || code == 0xd7 || code == 0xb7 || code == 0x22c5) return this.step(1, 0x2a);
    if (code == 0x2f || code == 0xf7) return this.step(1, 0x2f);
    if (code == 0x25) return this.step(1, 0x25);
    if (left.percent && this.word() == "of") return this.step(2, OF);
    return 0;
  }

  private signed(): Term | null {
    let negative = false;
    while (true) {
      if (this.takeMinus()) negative = !negative;
      else if (!this.take(0x2b)) break;
    }
    const term = this.power();
    return term !== null && negative ? new Term(term.value.negated(), term.percent) : term;
  }

  private power(): Term | null {
    const base = this.percentage();
    if (base === null || !this.takePower()) return base;
    if (++this.depth > DEPTH_MAX) {
      return this.stop("The expression is nested more than " + DEPTH_MAX.toString() + " levels deep.");
    }
    const exponent = this.signed();
    this.depth--;
    return exponent === null ? null : this.settle(power(base.value, exponent.value));
  }

  private percentage(): Term | null {
    const value = this.value();
    if (value === null || this.peek() != 0x25 || this.isModulo()) return value;
    this.at++;
    return new Term(new Decimal(value.value.negative, value.value.digits, value.value.exponent - 2), true);
  }

  /** A `%` with a value behind it is the operator; before `of`, an operator or the end it is a percentage. */
  private isModulo(): bool {
    const start = this.at++;
    const code = this.peek();
    const value = isDigit(code) || code == 0x2e || code == 0x28 || (isLetter(code) && this.word() != "of");
    this.at = start;
    return value;
  }

  private value(): Term | null {
    const code = this.peek();
    if (isDigit(code) || code == 0x2e) return this.number();
    if (isLetter(code)) return this.name();
    if (!this.take(0x28)) return this.stop(this.unexpected("a number"));
    const outside = this.inFunction;
    this.inFunction = false;
    const inner = this.sum();
    this.inFunction = outside;
    if (inner === null) return null;
    if (!this.take(0x29)) return this.stop(this.unexpected("')'"));
    return new Term(inner.value, false);
  }

  private name(): Term | null {
    const name = this.word();
    if (name == "pi") {
      this.at += 2;
      return new Term(parsed(PI), false);
    }
    if (!isFunction(name)) {
      return this.stop('"' + name + '" is unknown. There are sqrt, abs, round, floor, ceil, min, max and pi.');
    }
    this.at += name.length;
    if (!this.take(0x28)) return this.stop(this.unexpected("'(' after " + name));
    return this.arguments(name);
  }

  private arguments(name: string): Term | null {
    const outside = this.inFunction;
    this.inFunction = true;
    const values: Decimal[] = [];
    do {
      const term = this.sum();
      if (term === null) return null;
      values.push(term.value);
    } while (this.take(0x2c) || this.take(0x3b));
    this.inFunction = outside;
    if (!this.take(0x29)) return this.stop(this.unexpected("',' or ')'"));
    return this.settle(call(name, values));
  }

  private number(): Term | null {
    const start = this.at;
    let digits = this.digits();
    if (!this.inFunction) {
      while (this.at < this.source.length && this.source.charCodeAt(this.at) == 0x2c) {
        if (!this.isThousands(this.at - start)) return this.stop(this.badComma());
        this.at++;
        digits += this.digits();
      }
    }
    if (this.at < this.source.length && this.source.charCodeAt(this.at) == 0x2e) {
      this.at++;
      digits += "." + this.digits();
    }
    if (digits == "" || digits == ".") return this.stop(this.unexpected("a digit"));
    const mantissa = parsed(digits);
    if (mantissa.digits.length > PRECISION) {
      return this.stop("A number may have " + PRECISION.toString() + " digits that count.");
    }
    return this.settle(Outcome.of(new Decimal(false, mantissa.digits, mantissa.exponent + this.exponent())));
  }

  /** The `e-3` behind a number, 0 when there is none. */
  private exponent(): i32 {
    const start = this.at;
    if (start >= this.source.length || (this.source.charCodeAt(start) | 0x20) != 0x65) return 0;
    this.at++;
    const negative = this.at < this.source.length && this.source.charCodeAt(this.at) == 0x2d;
    if (negative || (this.at < this.source.length && this.source.charCodeAt(this.at) == 0x2b)) this.at++;
    const digits = this.digits();
    if (digits == "") {
      this.at = start;
      return 0;
    }
    const size = digits.length > EXPONENT_DIGITS ? 99999 : I32.parseInt(digits);
    return negative ? -size : size;
  }

  private digits(): string {
    const start = this.at;
    while (this.at < this.source.length && isDigit(this.source.charCodeAt(this.at))) this.at++;
    return this.source.substring(start, this.at);
  }

  /** Whether the comma here has one to three digits before it, or a group, and exactly three behind it. */
  private isThousands(before: i32): bool {
    let behind = 0;
    while (this.at + 1 + behind < this.source.length && isDigit(this.source.charCodeAt(this.at + 1 + behind))) behind++;
    return behind == 3 && before >= 1 && (before <= 3 || this.source.charCodeAt(this.at - 4) == 0x2c);
  }

  private badComma(): string {
    const where = "at character " + (this.at + 1).toString();
    return "The comma " + where + " stands for thousands, so three digits follow it; write a decimal with a point.";
  }

  private settle(outcome: Outcome, percent: bool = false): Term | null {
    return outcome.error == "" ? new Term(outcome.value, percent) : this.stop(outcome.error);
  }

  private stop(words: string): Term | null {
    this.none(words);
    return null;
  }

  private none(words: string): Decimal | null {
    if (this.error == "") this.error = words;
    return null;
  }

  private unexpected(wanted: string): string {
    if (this.peek() < 0) return "The expression ends where " + wanted + " is expected.";
    const found = String.fromCodePoint(this.source.codePointAt(this.at));
    return "At character " + (this.at + 1).toString() + ' stands "' + found + '" where ' + wanted + " is expected.";
  }

  /** The next character that is no space, -1 at the end. */
  private peek(): i32 {
    while (this.at < this.source.length) {
      const code = this.source.charCodeAt(this.at);
      if (code != 0x20 && code != 0x09 && code != 0x0a && code != 0x0d && code != 0xa0 && code != 0x202f) return code;
      this.at++;
    }
    return -1;
  }

  /** The letters from here on, small. */
  private word(): string {
    this.peek();
    let end = this.at;
    while (end < this.source.length && isLetter(this.source.charCodeAt(end))) end++;
    return this.source.substring(this.at, end).toLowerCase();
  }

  private step(count: i32, meant: i32): i32 {
    this.at += count;
    return meant;
  }

  private take(code: i32): bool {
    if (this.peek() != code) return false;
    this.at++;
    return true;
  }

  private takeMinus(): bool {
    return this.take(0x2d) || this.take(0x2212) || this.take(0x2013);
  }

  private takePower(): bool {
    if (this.take(0x5e)) return true;
    if (!this.source.startsWith("**", this.at)) return false;
    this.at += 2;
    return true;
  }
}

function applied(operator: i32, a: Decimal, b: Decimal): Outcome {
  if (operator == 0x2a || operator == OF) return times(a, b);
  return operator == 0x2f ? divide(a, b) : modulo(a, b);
}

function isDigit(code: i32): bool {
  return code >= 0x30 && code <= 0x39;
}

function isLetter(code: i32): bool {
  const letter = code | 0x20;
  return letter >= 0x61 && letter <= 0x7a;
}
