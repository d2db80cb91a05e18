// Runs the steps of a query over a document. What is missing is null, as in JMESPath.
import { Json, Kind } from "../../assembly/json";
import { Do, OPEN, projects, Step } from "./step";

export class Evaluation {
  error: string = "";

  all(steps: Step[], value: Json): Json {
    return this.range(steps, 0, steps.length, value);
  }

  private range(steps: Step[], start: i32, end: i32, value: Json): Json {
    let now = value;
    for (let i = start; i < end && this.error == ""; i++) {
      const step = steps[i];
      if (step.action == Do.Pipe) continue;
      if (!projects(step.action)) {
        now = this.one(step, now);
        continue;
      }
      const items = this.many(step, now);
      if (items === null) now = Json.null;
      else {
        const stop = projectionEnd(steps, i + 1, end);
        now = this.each(steps, i + 1, stop, items);
        i = stop - 1;
      }
    }
    return now;
  }

  private each(steps: Step[], start: i32, end: i32, items: Json[]): Json {
    const found: Json[] = [];
    for (let i = 0; i < items.length && this.error == ""; i++) {
      const value = this.range(steps, start, end, items[i]);
      if (value.kind != Kind.Null) found.push(value);
    }
    return Json.array(found);
  }

  private one(step: Step, value: Json): Json {
    switch (step.action) {
      case Do.Field: {
        const found = value.field(step.name);
        return found === null ? Json.null : found;
      }
      case Do.Index:
        return item(value, step.index);
      case Do.Literal:
        return step.literal;
      case Do.Call:
        return this.call(step, this.all(step.inner, value));
      case Do.Not:
        return Json.bool(!holds(this.all(step.inner, value)));
      case Do.Compare:
        return compared(step.name, this.all(step.inner, value), this.all(step.other, value));
      default:
        return this.joined(step, value);
    }
  }

  /** `a && b` and `a || b` are one of both values, as in JMESPath. */
  private joined(step: Step, value: Json): Json {
    const left = this.all(step.inner, value);
    return holds(left) == (step.action == Do.Or) ? left : this.all(step.other, value);
  }

  /** The items that the rest of the query goes to, `null` for a value that has none. */
  private many(step: Step, value: Json): Json[] | null {
    if (step.action == Do.Values) return value.kind == Kind.Object ? value.items : null;
    if (value.kind != Kind.Array) return null;
    if (step.action == Do.Slice) return sliced(value.items, step);
    if (step.action == Do.Flatten) return flattened(value.items);
    if (step.action == Do.Items) return value.items;
    const kept: Json[] = [];
    for (let i = 0; i < value.items.length && this.error == ""; i++) {
      if (holds(this.all(step.inner, value.items[i]))) kept.push(value.items[i]);
    }
    return kept;
  }

  private call(step: Step, value: Json): Json {
    if (this.error != "") return Json.null;
    if (step.name == "type") return Json.text(value.typeName());
    if (step.name == "length") return this.length(value);
    if (value.kind != Kind.Object) {
      this.error = step.name + "() needs an object, but this is " + described(value) + ".";
      return Json.null;
    }
    return Json.array(step.name == "keys" ? value.keys.map<Json>((key) => Json.text(key)) : value.items);
  }

  private length(value: Json): Json {
    if (value.kind == Kind.Text) return Json.number(codePoints(value.text).toString());
    if (value.kind == Kind.Array || value.kind == Kind.Object) return Json.number(value.items.length.toString());
    this.error = "length() needs an array, an object or a string, but this is " + described(value) + ".";
    return Json.null;
  }
}

/** Where what a projection maps ends: at a pipe, or at a flattening, which takes the whole. */
function projectionEnd(steps: Step[], start: i32, end: i32): i32 {
  for (let i = start; i < end; i++) {
    if (steps[i].action == Do.Pipe || steps[i].action == Do.Flatten) return i;
  }
  return end;
}

function item(value: Json, index: i32): Json {
  if (value.kind != Kind.Array) return Json.null;
  const at = index < 0 ? index + value.items.length : index;
  return at >= 0 && at < value.items.length ? value.items[at] : Json.null;
}

function sliced(items: Json[], step: Step): Json[] {
  const size = items.length;
  const down = step.stride < 0;
  const from = step.from == OPEN ? (down ? size - 1 : 0) : within(step.from, size, down);
  const to = step.to == OPEN ? (down ? -1 : size) : within(step.to, size, down);
  const found: Json[] = [];
  // A stride beyond the items would overflow the index.
  const stride = down ? max(step.stride, -size - 1) : min(step.stride, size + 1);
  for (let i = from; down ? i > to : i < to; i += stride) found.push(items[i]);
  return found;
}

function within(bound: i32, size: i32, down: bool): i32 {
  const at = bound < 0 ? bound + size : bound;
  const low = down ? -1 : 0;
  const high = down ? size - 1 : size;
  return max(low, min(at, high));
}

function flattened(items: Json[]): Json[] {
  const found: Json[] = [];
  for (let i = 0; i < items.length; i++) {
    if (items[i].kind != Kind.Array) found.push(items[i]);
    else for (let k = 0; k < items[i].items.length; k++) found.push(items[i].items[k]);
  }
  return found;
}

/** Everything holds but null, false, and what is empty. */
function holds(value: Json): bool {
  if (value.kind == Kind.Null || value.kind == Kind.False) return false;
  if (value.kind == Kind.Text) return value.text.length > 0;
  return (value.kind != Kind.Array && value.kind != Kind.Object) || value.items.length > 0;
}

function compared(operator: string, left: Json, right: Json): Json {
  if (operator == "==") return Json.bool(left.equals(right));
  if (operator == "!=") return Json.bool(!left.equals(right));
  // Only numbers have an order; anything else is null, so that a filter passes it by.
  if (left.kind != Kind.Number || right.kind != Kind.Number) return Json.null;
  const a = parseFloat(left.text);
  const b = parseFloat(right.text);
  if (operator == "<") return Json.bool(a < b);
  if (operator == "<=") return Json.bool(a <= b);
  return Json.bool(operator == ">" ? a > b : a >= b);
}

function described(value: Json): string {
  const name = value.typeName();
  if (value.kind == Kind.Null) return "null: nothing is there";
  return (name == "array" ? "an " : "a ") + name;
}

function codePoints(text: string): i32 {
  let count = 0;
  for (let i = 0; i < text.length; i++) {
    if ((text.charCodeAt(i) & 0xfc00) != 0xdc00) count++;
  }
  return count;
}

function min(a: i32, b: i32): i32 {
  return a < b ? a : b;
}

function max(a: i32, b: i32): i32 {
  return a > b ? a : b;
}
