import { failed, Input, input, ok } from "../../assembly/abi";
import { Json, Kind, Parser } from "../../assembly/json";
import { Evaluation } from "./evaluate";
import { FUNCTIONS, QueryParser } from "./query";

export { alloc } from "../../assembly/abi";

export function run(pointer: i32, length: i32): i64 {
  const given = input(pointer, length);
  if (given.root === null) return failed(given.error);
  const document = new Document(given);
  const root = document.root;
  if (root === null) return failed(document.error);
  const parser = new QueryParser(meant(given.text("query", "").trim(), root));
  const query = parser.parse();
  if (query === null) return failed(parser.error);
  const evaluation = new Evaluation();
  const result = evaluation.all(query, root);
  if (evaluation.error != "") return failed(evaluation.error);
  return ok('{"result":' + result.toString() + "}");
}

/** A function's bare name is the function of the whole, unless the document has such a key. */
function meant(query: string, root: Json): string {
  if (query == "") return overview(root);
  return FUNCTIONS.includes(query) && root.field(query) === null ? query + "(@)" : query;
}

/** What is asked of a document when no query is given. */
function overview(root: Json): string {
  if (root.kind == Kind.Object) return "keys(@)";
  return root.kind == Kind.Array ? "length(@)" : "@";
}

/** The argument `json`: a value as it is, or a text that holds one. */
class Document {
  root: Json | null = null;
  error: string = "";

  constructor(given: Input) {
    const value = given.value("json");
    if (value === null) {
      this.error = 'The argument "json" is missing.';
    } else if (value.kind == Kind.Text) {
      const parser = new Parser(value.text);
      this.root = parser.parse();
      this.error = parser.error;
    } else {
      this.root = value;
    }
  }
}
