"""Text from outside on a terminal: nothing in it may move the cursor, change colours, or turn what is read around."""


def plain(text: str, *, lines: bool = False) -> str:
    """Return the text with all that is not printable as ``\\uXXXX``, which is how JSON writes it.

    That is every control character (escape sequences begin with one), the signs that change the direction of text,
    those without width, and lone surrogates, which no terminal takes.

    Args:
        lines: whether line ends stay, and tabs become four spaces.
    """
    if lines:
        return "\n".join(plain(line) for line in text.expandtabs(4).split("\n"))
    return text if text.isprintable() else "".join(char if char.isprintable() else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    point = ord(char)
    if point < 0x10000:
        return f"\\u{point:04x}"
    high, low = divmod(point - 0x10000, 0x400)
    return f"\\u{0xD800 + high:04x}\\u{0xDC00 + low:04x}"
