// The query language: a part of JMESPath. A query is a list of steps.
import { Json, Parser, quoted } from "../../assembly/json";
import { Do, OPEN, Step } from "./step";

const DEPTH_MAX = 32;
const LENGTH_MAX = 2000;
export const FUNCTIONS = ["keys", "values", "length", "type"];
const COMPARISONS = ["==", "!=", "<=", ">=", "<", ">"];

export class QueryParser {
  error: string = "";
  private at: i32 = 0;
  private depth: i32 = 0;

  constructor(private readonly source: string) {}

  /** The steps, or `null`: then `error` says what is wrong. */
  parse(): Step[] | null {
    if (this.source.length > LENGTH_MAX) return this.fail("it is longer than " + LENGTH_MAX.toString() + " characters");
    const steps = this.pipes();
    if (steps === null) return null;
    this.space();
    return this.at < this.source.length ? this.unexpected("an operator") : steps;
  }

  private pipes(): Step[] | null {
    if (++this.depth > DEPTH_MAX) return this.fail("it is nested more than " + DEPTH_MAX.toString() + " levels deep");
    const steps = this.either();
    while (steps !== null && !this.ahead("||") && this.take("|")) {
      const next = this.either();
      if (next === null) return null;
      steps.push(new Step(Do.Pipe));
      append(steps, next);
    }
    this.depth--;
    return steps;
  }

  private either(): Step[] | null {
    let left = this.both();
    while (left !== null && this.take("||")) {
      const right = this.both();
      if (right === null) return null;
      left = [Step.of(Do.Or, left, right)];
    }
    return left;
  }

  private both(): Step[] | null {
    let left = this.comparison();
    while (left !== null && this.take("&&")) {
      const right = this.comparison();
      if (right === null) return null;
      left = [Step.of(Do.And, left, right)];
    }
    return left;
  }

  private comparison(): Step[] | null {
    const left = this.path();
    if (left === null) return null;
    for (let i = 0; i < COMPARISONS.length; i++) {
      if (!this.take(COMPARISONS[i])) continue;
      const right = this.path();
      if (right === null) return null;
      const step = Step.of(Do.Compare, left, right);
      step.name = COMPARISONS[i];
      return [step];
    }
    return left;
  }

  private path(): Step[] | null {
    const steps = this.first();
    if (steps === null) return null;
    while (true) {
      if (this.ahead("[")) {
        if (!this.bracket(steps)) return null;
      } else if (this.take(".")) {
        if (!this.member(steps)) return null;
      } else {
        return steps;
      }
    }
  }

  private first(): Step[] | null {
    const steps: Step[] = [];
    if (this.take("@")) return steps;
    if (this.ahead("[")) return this.bracket(steps) ? steps : null;
    if (this.take("!")) return this.negation();
    if (this.ahead("(")) return this.group();
    if (this.ahead("'")) return this.text();
    if (this.ahead("`") || this.isNumber()) return this.literal();
    // A leading dot, as jq writes it, is allowed, and alone it is the whole.
    if (this.take(".")) {
      if (this.ahead("[")) return this.bracket(steps) ? steps : null;
      if (this.at >= this.source.length) return steps;
    }
    return this.member(steps) ? steps : null;
  }

  private negation(): Step[] | null {
    if (++this.depth > DEPTH_MAX) return this.fail("it is nested more than " + DEPTH_MAX.toString() + " levels deep");
    const inner = this.path();
    this.depth--;
    return inner === null ? null : [Step.of(Do.Not, inner)];
  }

  private group(): Step[] | null {
    this.take("(");
    const inner = this.pipes();
    if (inner === null) return null;
    if (!this.take(")")) return this.unexpected("')'");
    // A group ends the projections in it, as a pipe does.
    inner.push(new Step(Do.Pipe));
    return inner;
  }

  private member(steps: Step[]): bool {
    if (this.take("*")) {
      steps.push(new Step(Do.Values));
      return true;
    }
    const quotedName = this.ahead('"');
    const name = quotedName ? this.quotedName() : this.name();
    if (this.error != "") return false;
    if (!quotedName && this.ahead("(")) return this.call(steps, name);
    steps.push(Step.named(Do.Field, name));
    return true;
  }

  private call(steps: Step[], name: string): bool {
    if (!FUNCTIONS.includes(name)) {
      this.fail("the function " + quoted(name) + " is unknown; there are " + FUNCTIONS.join(", "));
      return false;
    }
    this.take("(");
    const inner = this.pipes();
    if (inner === null) return false;
    if (!this.take(")")) return this.unexpected("')'") !== null;
    const step = Step.named(Do.Call, name);
    step.inner = inner;
    steps.push(step);
    return true;
  }

  private bracket(steps: Step[]): bool {
    this.take("[");
    if (this.take("]")) {
      steps.push(new Step(Do.Flatten));
      return true;
    }
    if (this.take("?")) {
      const inner = this.pipes();
      if (inner === null) return false;
      steps.push(Step.of(Do.Filter, inner));
    } else if (this.take("*")) {
      steps.push(new Step(Do.Items));
    } else if (this.ahead('"') || this.ahead("'")) {
      // JMESPath has no such member, but everyone knows it from JavaScript and Python.
      const name = this.ahead('"') ? this.quotedName() : this.rawText();
      if (this.error != "") return false;
      steps.push(Step.named(Do.Field, name));
    } else if (!this.indexOrSlice(steps)) {
      return false;
    }
    return this.take("]") || this.unexpected("']'") !== null;
  }

  private indexOrSlice(steps: Step[]): bool {
    const parts: i32[] = [this.integer()];
    while (this.error == "" && parts.length < 3 && this.take(":")) parts.push(this.integer());
    if (this.error != "") return false;
    if (parts.length == 1) {
      if (parts[0] == OPEN) return this.unexpected("an index") !== null;
      const step = new Step(Do.Index);
      step.index = parts[0];
      steps.push(step);
      return true;
    }
    const step = new Step(Do.Slice);
    step.from = parts[0];
    step.to = parts[1];
    step.stride = parts.length == 3 && parts[2] != OPEN ? parts[2] : 1;
    if (step.stride == 0) return this.fail("the step of a slice must not be 0") !== null;
    steps.push(step);
    return true;
  }

  /** A whole number, or `OPEN` where none stands. */
  private integer(): i32 {
    this.space();
    const start = this.at;
    const negative = this.take("-");
    let value = 0;
    const first = this.at;
    while (this.at < this.source.length && isDigit(this.source.charCodeAt(this.at))) {
      if (this.at - first > 8) {
        this.fail("the number is too large");
        return OPEN;
      }
      value = value * 10 + this.source.charCodeAt(this.at++) - 0x30;
    }
    if (this.at == first) {
      this.at = start;
      return OPEN;
    }
    return negative ? -value : value;
  }

  private text(): Step[] | null {
    const text = this.rawText();
    if (this.error != "") return null;
    return [constant(Json.text(text))];
  }

  /** JSON between backticks, or a bare number. */
  private literal(): Step[] | null {
    const fenced = this.take("`");
    const start = this.at;
    if (fenced) {
      while (this.at < this.source.length && this.source.charAt(this.at) != "`") this.at++;
    } else {
      while (this.at < this.source.length && isNumeric(this.source.charCodeAt(this.at))) this.at++;
    }
    const inside = this.source.substring(start, this.at);
    if (fenced && !this.take("`")) return this.unexpected("'`'");
    const parser = new Parser(inside);
    const value = parser.parse();
    if (value !== null) return [constant(value)];
    return fenced ? [constant(Json.text(inside))] : this.fail(quoted(inside) + " is no number");
  }

  private isNumber(): bool {
    this.space();
    if (this.at >= this.source.length) return false;
    const code = this.source.charCodeAt(this.at);
    return isDigit(code) || code == 0x2d;
  }

  private rawText(): string {
    this.take("'");
    const parts: string[] = [];
    while (this.at < this.source.length) {
      const character = this.source.charAt(this.at++);
      if (character == "'") return parts.join("");
      const escaped = character == "\\" && this.source.charAt(this.at) == "'";
      parts.push(escaped ? this.source.charAt(this.at++) : character);
    }
    this.unexpected('"\'"');
    return "";
  }

  private quotedName(): string {
    this.space();
    const start = this.at++;
    while (this.at < this.source.length && this.source.charAt(this.at) != '"') {
      this.at += this.source.charAt(this.at) == "\\" ? 2 : 1;
    }
    this.at++;
    const parser = new Parser(this.source.substring(start, this.at));
    const name = parser.parse();
    if (name !== null) return name.text;
    this.at = start;
    this.fail("the name in double quotes is wrong");
    return "";
  }

  private name(): string {
    this.space();
    const start = this.at;
    while (this.at < this.source.length && isNameCharacter(this.source.charCodeAt(this.at), this.at > start)) this.at++;
    if (this.at == start) this.unexpected("a name");
    return this.source.substring(start, this.at);
  }

  private space(): void {
    while (this.at < this.source.length) {
      const code = this.source.charCodeAt(this.at);
      if (code != 0x20 && code != 0x09 && code != 0x0a && code != 0x0d) return;
      this.at++;
    }
  }

  private ahead(symbol: string): bool {
    this.space();
    return this.source.startsWith(symbol, this.at);
  }

  private take(symbol: string): bool {
    if (!this.ahead(symbol)) return false;
    this.at += symbol.length;
    return true;
  }

  private unexpected(wanted: string): Step[] | null {
    if (this.at >= this.source.length) return this.fail("it ends where " + wanted + " is expected");
    const found = String.fromCodePoint(this.source.codePointAt(this.at));
    return this.fail("found " + quoted(found) + " where " + wanted + " is expected");
  }

  private fail(words: string): Step[] | null {
    if (this.error == "") this.error = "The query is wrong at character " + (this.at + 1).toString() + ": " + words + ".";
    return null;
  }
}

function append(steps: Step[], more: Step[]): void {
  for (let i = 0; i < more.length; i++) steps.push(more[i]);
}

function constant(value: Json): Step {
  const step = new Step(Do.Literal);
  step.literal = value;
  return step;
}

function isDigit(code: i32): bool {
  return code >= 0x30 && code <= 0x39;
}

function isNumeric(code: i32): bool {
  return isDigit(code) || code == 0x2d || code == 0x2e || code == 0x2b || (code | 0x20) == 0x65;
}

function isNameCharacter(code: i32, inside: bool): bool {
  const letter = code | 0x20;
  if ((letter >= 0x61 && letter <= 0x7a) || code == 0x5f || code >= 0xc0) return true;
  return inside && (isDigit(code) || code == 0x2d);
}
