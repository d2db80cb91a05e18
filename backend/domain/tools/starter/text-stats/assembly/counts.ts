// One pass over the code points of a text.
import { isIdeograph, isLineBreak, isSentenceEnd, isSpace, isWordCharacter, joinsWord } from "./unicode";

const WORDS_PER_MINUTE = 200;

export class Counts {
  characters: i32 = 0;
  spaces: i32 = 0;
  words: i32 = 0;
  lines: i32 = 0;
  sentences: i32 = 0;
  longest: string = "";

  /** Whole seconds at 200 words a minute, rounded up. */
  readingSeconds(): i32 {
    return (this.words * 60 + WORDS_PER_MINUTE - 1) / WORDS_PER_MINUTE;
  }
}

export function counted(text: string): Counts {
  const scan = new Scan(text);
  while (scan.step()) {}
  return scan.finish();
}

class Scan {
  private readonly counts: Counts = new Counts();
  private at: i32 = 0;
  private wordStart: i32 = -1;
  private wordPoints: i32 = 0;
  private longestPoints: i32 = 0;
  private lineOpen: bool = false;
  private sentenceOpen: bool = false;
  private ended: bool = false;
  private previous: i32 = 0;

  constructor(private readonly text: string) {}

  step(): bool {
    if (this.at >= this.text.length) return false;
    const point = this.text.codePointAt(this.at);
    const next = this.at + (point > 0xffff ? 2 : 1);
    this.counts.characters++;
    if (isSpace(point)) this.counts.spaces++;
    this.line(point);
    this.word(point, next);
    this.sentence(point);
    this.previous = point;
    this.at = next;
    return true;
  }

  finish(): Counts {
    this.closeWord();
    if (this.lineOpen) this.counts.lines++;
    if (this.sentenceOpen) this.counts.sentences++;
    return this.counts;
  }

  private line(point: i32): void {
    if (!isLineBreak(point)) {
      this.lineOpen = true;
      return;
    }
    // "\r\n" is one break: its line was closed by the "\r".
    if (point == 0x0a && this.previous == 0x0d) return;
    this.counts.lines++;
    this.lineOpen = false;
  }

  private word(point: i32, next: i32): void {
    if (isIdeograph(point)) {
      this.closeWord();
      this.openWord();
      this.at = next;
      this.closeWord();
    } else if (isWordCharacter(point)) {
      this.openWord();
    } else if (this.wordStart >= 0 && joinsWord(point) && this.wordGoesOn(next)) {
      this.wordPoints++;
    } else {
      this.closeWord();
    }
  }

  private wordGoesOn(next: i32): bool {
    if (next >= this.text.length) return false;
    const point = this.text.codePointAt(next);
    return isWordCharacter(point) && !isIdeograph(point);
  }

  private openWord(): void {
    if (this.wordStart < 0) {
      this.wordStart = this.at;
      this.wordPoints = 0;
      this.counts.words++;
    }
    this.wordPoints++;
  }

  private closeWord(): void {
    if (this.wordStart < 0) return;
    if (this.wordPoints > this.longestPoints) {
      this.longestPoints = this.wordPoints;
      this.counts.longest = this.text.substring(this.wordStart, this.at);
    }
    this.wordStart = -1;
  }

  /** A sentence ends at the space after its mark, so that "3.14" and "e.g.," do not end one. */
  private sentence(point: i32): void {
    if (isSentenceEnd(point)) {
      if (this.sentenceOpen) this.ended = true;
      if (point > 0x3000) this.endSentence();
    } else if (isSpace(point)) {
      this.endSentence();
    } else if (isWordCharacter(point)) {
      this.sentenceOpen = true;
      this.ended = false;
    }
  }

  private endSentence(): void {
    if (!this.ended) return;
    this.counts.sentences++;
    this.sentenceOpen = false;
    this.ended = false;
  }
}
