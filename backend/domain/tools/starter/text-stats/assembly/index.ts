import { failed, input, ok } from "../../assembly/abi";
import { quoted } from "../../assembly/json";
import { counted } from "./counts";

export { alloc } from "../../assembly/abi";

export function run(pointer: i32, length: i32): i64 {
  const given = input(pointer, length);
  if (given.root === null) return failed(given.error);
  const counts = counted(given.text("text", ""));
  return ok(
    '{"characters":' + counts.characters.toString() +
      ',"characters_without_spaces":' + (counts.characters - counts.spaces).toString() +
      ',"words":' + counts.words.toString() +
      ',"lines":' + counts.lines.toString() +
      ',"sentences":' + counts.sentences.toString() +
      ',"longest_word":' + quoted(counts.longest) +
      ',"reading_time_seconds":' + counts.readingSeconds().toString() +
      "}",
  );
}
