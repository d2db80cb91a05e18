import { failed, input, ok } from "../../assembly/abi";
import { quoted } from "../../assembly/json";
import { written } from "./format";
import { Calculation } from "./parser";

export { alloc } from "../../assembly/abi";

export function run(pointer: i32, length: i32): i64 {
  const given = input(pointer, length);
  if (given.root === null) return failed(given.error);
  const expression = given.text("expression", "");
  const calculation = new Calculation(expression);
  const result = calculation.result();
  if (result === null) return failed(calculation.error);
  return ok('{"result":' + quoted(written(result)) + ',"expression":' + quoted(expression) + "}");
}
