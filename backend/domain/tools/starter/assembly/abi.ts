// The tool ABI: JSON in, JSON out, through the memory of the module. See docs/guides/tool-abi.md.
import { Json, Kind, Parser, quoted } from "./json";

/** Where the host writes the input. */
export function alloc(size: i32): i32 {
  return heap.alloc(size) as i32;
}

/** The arguments of the call; `error` says why there are none. */
export class Input {
  constructor(readonly root: Json | null, readonly error: string) {}

  /** The text of an argument, or `fallback` where it is missing or no string. */
  text(name: string, fallback: string): string {
    const value = this.value(name);
    return value !== null && value.kind == Kind.Text ? value.text : fallback;
  }

  value(name: string): Json | null {
    const root = this.root;
    return root === null ? null : root.field(name);
  }
}

export function input(pointer: i32, length: i32): Input {
  const parser = new Parser(String.UTF8.decodeUnsafe(pointer, length));
  const root = parser.parse();
  if (root === null) return new Input(null, parser.error);
  if (root.kind != Kind.Object) return new Input(null, "The arguments must be a JSON object.");
  return new Input(root, "");
}

/** The answer of a call that worked; `json` is JSON already. */
export function ok(json: string): i64 {
  return packed('{"ok":' + json + "}");
}

/** The answer of a call that did not; the words are for a model and a person. */
export function failed(words: string): i64 {
  return packed('{"error":' + quoted(words) + "}");
}

function packed(text: string): i64 {
  const bytes = String.UTF8.encode(text, false, String.UTF8.ErrorMode.REPLACE);
  return ((changetype<usize>(bytes) as i64) << 32) | (bytes.byteLength as i64);
}
