"""What children print, line by line, with the child's name in front."""

import os
from collections import deque

_LONGEST = 64 * 1024
_KEPT = 20


class Output:
    """The output of one child.

    Args:
        name: stands before each line; empty leaves lines as they are (JSON).
        sink: the descriptor that lines go to.
    """

    def __init__(self, name: str, sink: int = 1) -> None:
        self._prefix = f"{name:<9}| ".encode() if name else b""
        self._sink = sink
        self._rest = b""
        self.last: deque[str] = deque(maxlen=_KEPT)

    def feed(self, piece: bytes) -> None:
        """Take what was read; a line that grows past 64 KiB is broken."""
        lines = (self._rest + piece).split(b"\n")
        self._rest = lines.pop()
        if len(self._rest) > _LONGEST:
            lines.append(self._rest)
            self._rest = b""
        self._write(lines)

    def close(self) -> None:
        """Print what has no end of line."""
        if self._rest:
            self._write([self._rest])
            self._rest = b""

    def _write(self, lines: list[bytes]) -> None:
        self.last.extend(line.decode(errors="replace") for line in lines)
        write_all(self._sink, b"".join(self._prefix + line + b"\n" for line in lines))


def write_all(sink: int, text: bytes) -> None:
    """Write to a descriptor; a reader that has gone away is no reason to stop."""
    try:
        while text:
            text = text[os.write(sink, text) :]
    except OSError:
        return
