// Strict JSON. Numbers stay the text that they were, so none loses a digit.

const DEPTH_MAX = 200;

export enum Kind {
  Null,
  False,
  True,
  Number,
  Text,
  Array,
  Object,
}

export class Json {
  /** Of a number its digits as they stood, of a text its characters. */
  text: string = "";
  /** Of an array its items, of an object its values. */
  items: Json[] = [];
  keys: string[] = [];

  constructor(readonly kind: Kind) {}

  static null: Json = new Json(Kind.Null);

  static text(value: string): Json {
    const made = new Json(Kind.Text);
    made.text = value;
    return made;
  }

  static number(digits: string): Json {
    const made = new Json(Kind.Number);
    made.text = digits;
    return made;
  }

  static bool(value: bool): Json {
    return new Json(value ? Kind.True : Kind.False);
  }

  static array(items: Json[]): Json {
    const made = new Json(Kind.Array);
    made.items = items;
    return made;
  }

  field(name: string): Json | null {
    if (this.kind != Kind.Object) return null;
    const index = this.keys.indexOf(name);
    return index < 0 ? null : this.items[index];
  }

  /** The type's name as JSON Schema calls it. */
  typeName(): string {
    switch (this.kind) {
      case Kind.Null:
        return "null";
      case Kind.Number:
        return "number";
      case Kind.Text:
        return "string";
      case Kind.Array:
        return "array";
      case Kind.Object:
        return "object";
      default:
        return "boolean";
    }
  }

  equals(other: Json): bool {
    if (this.kind != other.kind) return false;
    if (this.kind == Kind.Number) return parseFloat(this.text) == parseFloat(other.text);
    if (this.text != other.text || this.items.length != other.items.length) return false;
    for (let i = 0; i < this.items.length; i++) {
      const twin = this.kind == Kind.Object ? other.field(this.keys[i]) : other.items[i];
      if (twin === null || !this.items[i].equals(twin)) return false;
    }
    return true;
  }

  toString(): string {
    const parts: string[] = [];
    this.write(parts);
    return parts.join("");
  }

  private write(parts: string[]): void {
    switch (this.kind) {
      case Kind.Null:
        parts.push("null");
        break;
      case Kind.False:
        parts.push("false");
        break;
      case Kind.True:
        parts.push("true");
        break;
      case Kind.Number:
        parts.push(this.text);
        break;
      case Kind.Text:
        parts.push(quoted(this.text));
        break;
      default:
        this.writeItems(parts);
    }
  }

  private writeItems(parts: string[]): void {
    const named = this.kind == Kind.Object;
    parts.push(named ? "{" : "[");
    for (let i = 0; i < this.items.length; i++) {
      if (i > 0) parts.push(",");
      if (named) {
        parts.push(quoted(this.keys[i]));
        parts.push(":");
      }
      this.items[i].write(parts);
    }
    parts.push(named ? "}" : "]");
  }
}

/** The text as a JSON string. */
export function quoted(text: string): string {
  const parts: string[] = ['"'];
  let from = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code >= 0x20 && code != 0x22 && code != 0x5c) continue;
    parts.push(text.substring(from, i));
    parts.push(escape(code));
    from = i + 1;
  }
  parts.push(text.substring(from));
  parts.push('"');
  return parts.join("");
}

function escape(code: i32): string {
  if (code == 0x22) return '\\"';
  if (code == 0x5c) return "\\\\";
  if (code == 0x0a) return "\\n";
  if (code == 0x0d) return "\\r";
  if (code == 0x09) return "\\t";
  return "\\u00" + (code < 16 ? "0" : "") + code.toString(16);
}

/** Reads one JSON text; after `null` came back, `error` says what is wrong where. */
export class Parser {
  error: string = "";
  private at: i32 = 0;

  constructor(private readonly source: string) {}

  parse(): Json | null {
    const value = this.value(0);
    if (value === null) return null;
    this.space();
    if (this.at < this.source.length) return this.fail("nothing may follow the value");
    return value;
  }

  private value(depth: i32): Json | null {
    if (depth > DEPTH_MAX) return this.fail("it is nested more than " + DEPTH_MAX.toString() + " levels deep");
    this.space();
    const code = this.peek();
    if (code == 0x7b) return this.object(depth);
    if (code == 0x5b) return this.array(depth);
    if (code == 0x22) return this.string();
    if (code == 0x2d || isDigit(code)) return this.number();
    if (this.word("true")) return new Json(Kind.True);
    if (this.word("false")) return new Json(Kind.False);
    if (this.word("null")) return Json.null;
    return this.fail("a value is expected");
  }

  private object(depth: i32): Json | null {
    const made = new Json(Kind.Object);
    const seen = new Set<string>();
    this.at++;
    this.space();
    if (this.take(0x7d)) return made;
    while (true) {
      this.space();
      if (this.peek() != 0x22) return this.fail("a key in double quotes is expected");
      const start = this.at;
      const key = this.string();
      if (key === null) return null;
      if (seen.has(key.text)) return this.failAt(start, "the key " + quoted(key.text) + " appears twice");
      seen.add(key.text);
      this.space();
      if (!this.take(0x3a)) return this.fail("':' is expected after the key");
      const value = this.value(depth + 1);
      if (value === null) return null;
      made.keys.push(key.text);
      made.items.push(value);
      this.space();
      if (this.take(0x7d)) return made;
      if (!this.take(0x2c)) return this.fail("',' or '}' is expected");
    }
  }

  private array(depth: i32): Json | null {
    const items: Json[] = [];
    this.at++;
    this.space();
    if (this.take(0x5d)) return Json.array(items);
    while (true) {
      const value = this.value(depth + 1);
      if (value === null) return null;
      items.push(value);
      this.space();
      if (this.take(0x5d)) return Json.array(items);
      if (!this.take(0x2c)) return this.fail("',' or ']' is expected");
    }
  }

  private string(): Json | null {
    const start = this.at++;
    const parts: string[] = [];
    let from = this.at;
    while (this.at < this.source.length) {
      const code = this.source.charCodeAt(this.at);
      if (code == 0x22) {
        parts.push(this.source.substring(from, this.at++));
        return Json.text(parts.length == 1 ? parts[0] : parts.join(""));
      }
      if (code < 0x20) return this.fail("a control character must be escaped in a string");
      if (code != 0x5c) {
        this.at++;
        continue;
      }
      parts.push(this.source.substring(from, this.at));
      const unit = this.escaped();
      if (unit < 0) return null;
      parts.push(String.fromCharCode(unit));
      from = this.at;
    }
    return this.failAt(start, "the string is not closed");
  }

  /** One UTF-16 unit, or -1 for an error. */
  private escaped(): i32 {
    const code = this.at + 1 < this.source.length ? this.source.charCodeAt(this.at + 1) : -1;
    if (code == 0x75) return this.hexEscape();
    const index = '"\\/bfnrt'.indexOf(String.fromCharCode(code));
    if (code < 0 || index < 0) {
      this.fail("the escape is unknown");
      return -1;
    }
    this.at += 2;
    return '"\\/\b\f\n\r\t'.charCodeAt(index);
  }

  private hexEscape(): i32 {
    let unit = 0;
    for (let i = this.at + 2; i < this.at + 6; i++) {
      const digit = i < this.source.length ? hexDigit(this.source.charCodeAt(i)) : -1;
      if (digit < 0) {
        this.fail("four hexadecimal digits must follow \\u");
        return -1;
      }
      unit = unit * 16 + digit;
    }
    this.at += 6;
    return unit;
  }

  private number(): Json | null {
    const start = this.at;
    this.take(0x2d);
    if (!this.take(0x30) && this.digits() == 0) return this.fail("a digit is expected");
    if (this.take(0x2e) && this.digits() == 0) return this.fail("a digit is expected after the point");
    if (this.take(0x65) || this.take(0x45)) {
      if (!this.take(0x2b)) this.take(0x2d);
      if (this.digits() == 0) return this.fail("a digit is expected in the exponent");
    }
    if (isDigit(this.peek())) return this.failAt(start, "a number may not begin with 0");
    return Json.number(this.source.substring(start, this.at));
  }

  private digits(): i32 {
    const start = this.at;
    while (isDigit(this.peek())) this.at++;
    return this.at - start;
  }

  private word(expected: string): bool {
    if (!this.source.startsWith(expected, this.at)) return false;
    this.at += expected.length;
    return true;
  }

  private space(): void {
    while (true) {
      const code = this.peek();
      if (code != 0x20 && code != 0x0a && code != 0x0d && code != 0x09) return;
      this.at++;
    }
  }

  private peek(): i32 {
    return this.at < this.source.length ? this.source.charCodeAt(this.at) : -1;
  }

  private take(code: i32): bool {
    if (this.peek() != code) return false;
    this.at++;
    return true;
  }

  private fail(words: string): Json | null {
    const found = this.at < this.source.length ? ", found " + quoted(this.character()) : ", but it ends here";
    return this.failAt(this.at, words + found);
  }

  private failAt(at: i32, words: string): Json | null {
    let line = 1;
    let column = 1;
    for (let i = 0; i < at; i++) {
      const code = this.source.charCodeAt(i);
      // The second half of a surrogate pair is no character of its own.
      if ((code & 0xfc00) != 0xdc00) column++;
      if (code == 0x0a) {
        line++;
        column = 1;
      }
    }
    this.error = "The JSON is wrong at line " + line.toString() + ", column " + column.toString() + ": " + words + ".";
    return null;
  }

  private character(): string {
    const code = this.source.codePointAt(this.at);
    return code < 0 ? "" : String.fromCodePoint(code);
  }
}

function isDigit(code: i32): bool {
  return code >= 0x30 && code <= 0x39;
}

function hexDigit(code: i32): i32 {
  if (isDigit(code)) return code - 0x30;
  const letter = code | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}
