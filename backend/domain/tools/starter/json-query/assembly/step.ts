import { Json } from "../../assembly/json";

export enum Do {
  /** The value under the key `name`. */
  Field,
  /** The item at `index`; a negative one counts from the end. */
  Index,
  /** The items from `from` up to `to` in steps of `stride`; the rest of the query goes to each. */
  Slice,
  /** Every item. */
  Items,
  /** Every value of an object. */
  Values,
  /** Every item, and the items of those that are arrays. */
  Flatten,
  /** The items for which `inner` holds. */
  Filter,
  /** The rest goes to the whole again. */
  Pipe,
  /** The function `name` of `inner`. */
  Call,
  /** `literal`, whatever the value. */
  Literal,
  /** `inner` compared with `other` by the operator `name`. */
  Compare,
  /** `inner` and `other`, `inner` or `other`, not `inner`. */
  And,
  Or,
  Not,
}

/** A bound of a slice that is left out. */
export const OPEN: i32 = i32.MIN_VALUE;

export class Step {
  name: string = "";
  index: i32 = 0;
  from: i32 = OPEN;
  to: i32 = OPEN;
  stride: i32 = 1;
  inner: Step[] = [];
  other: Step[] = [];
  literal: Json = Json.null;

  constructor(readonly action: Do) {}

  static named(action: Do, name: string): Step {
    const step = new Step(action);
    step.name = name;
    return step;
  }

  static of(action: Do, inner: Step[], other: Step[] = []): Step {
    const step = new Step(action);
    step.inner = inner;
    step.other = other;
    return step;
  }
}

/** Whether what follows goes to each item of the result. */
export function projects(action: Do): bool {
  return action >= Do.Slice && action <= Do.Filter;
}
