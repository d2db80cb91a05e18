import { Decimal, rounded } from "./decimal";

/** What is shown of a number with digits behind the point: the others guard against 1/3*3 = 0.999…. */
const SHOWN = 34;
const PLAIN_MAX = 50;
const PLAIN_MIN = -20;

/** The number as people write it, with a power of ten only where it is very large or very small. */
export function written(value: Decimal): string {
  const exact = value.plain();
  const shown = exact.exponent < 0 ? rounded(exact, SHOWN).plain() : exact;
  if (shown.isZero()) return "0";
  const sign = shown.negative ? "-" : "";
  const digits = text(shown);
  const magnitude = shown.magnitude();
  if (magnitude >= PLAIN_MAX || magnitude < PLAIN_MIN) return sign + scientific(digits, magnitude);
  if (shown.exponent >= 0) return sign + digits + "0".repeat(shown.exponent);
  if (magnitude < 0) return sign + "0." + "0".repeat(-magnitude - 1) + digits;
  return sign + digits.substring(0, magnitude + 1) + "." + digits.substring(magnitude + 1);
}

function scientific(digits: string, magnitude: i32): string {
  const mantissa = digits.length > 1 ? digits.charAt(0) + "." + digits.substring(1) : digits;
  return mantissa + "e" + (magnitude < 0 ? "" : "+") + magnitude.toString();
}

function text(value: Decimal): string {
  const parts: string[] = [];
  for (let i = 0; i < value.digits.length; i++) parts.push(value.digits[i].toString());
  return parts.join("");
}
