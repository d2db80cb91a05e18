"""Where in a TOML text something stands, so that an error can name the line."""

import re

_TABLE = re.compile(r"\[\[?\s*([^\[\]]+?)\s*\]\]?")
_KEY = re.compile(r"([A-Za-z0-9_.\"'-]+)\s*=")
_AT_LINE = re.compile(r"line (\d+)")


class Lines:
    """Finds tables and keys of a TOML text by a plain scan; exact for what people write into a manifest."""

    def __init__(self, text: str) -> None:
        self._first: dict[str, int] = {}
        self._scan(text)

    def of(self, table: str, key: str = "") -> int:
        """Return the line of a key of a table, of the table where the key is missing, of the text where both are.

        Args:
            table: such as ``security``; empty for the keys at the top; ``arguments[1]`` for the second of its kind.
            key: such as ``memory``; empty for the table's own line.
        """
        list_of = table.partition("[")[0]
        places = (f"{table}/{key}", f"{table}.{key}/".strip("."), f"{table}/", f"{list_of}/", f"/{list_of}")
        return next((self._first[place] for place in places if place in self._first), 1)

    def _scan(self, text: str) -> None:
        table = ""
        counts: dict[str, int] = {}
        for number, raw in enumerate(text.splitlines(), start=1):
            line = raw.strip()
            if found := _TABLE.match(line):
                table = _plain(found[1])
                if line.startswith("[["):
                    counts[table] = counts.get(table, -1) + 1
                    self._first.setdefault(f"{table}/", number)
                    table = f"{table}[{counts[table]}]"
                self._first.setdefault(f"{table}/", number)
            elif found := _KEY.match(line):
                self._note(table, _plain(found[1]), number)

    def _note(self, table: str, name: str, number: int) -> None:
        # `security.memory = …` at the top is the same as `memory = …` under `[security]`.
        *above, key = [*([table] if table else []), *name.split(".")]
        self._first.setdefault(f"{'.'.join(above)}/{key}", number)


def line_of_error(words: str, text: str) -> int:
    """Return the line that a TOML parser's message names, or the last one when it speaks of the end."""
    found = _AT_LINE.search(words)
    if found:
        return int(found[1])
    return max(1, len(text.splitlines())) if "end of document" in words else 1


def _plain(name: str) -> str:
    return ".".join(part.strip().strip("\"'") for part in name.split("."))
