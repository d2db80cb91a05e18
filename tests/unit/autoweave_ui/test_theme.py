"""All literal colours and sizes stand in the theme."""

import re
from pathlib import Path

import pytest

from autoweave_ui import theme

ROOT = Path(theme.__file__).parents[1]
SHEETS = sorted((ROOT / "autoweave_ui" / "styles").glob("*.css"))
SOURCES = [
    path
    for folder in ("autoweave_ui", "components", "state")
    for kind in ("py", "jsx", "js")
    for path in sorted((ROOT / folder).rglob(f"*.{kind}"))
    if path.name != "theme.py"
]
PIXELS = re.compile(r"(?<![\w$}])\d+(\.\d+)?px\b")
COLOURS = re.compile(r"(#[0-9a-fA-F]{3,8}\b(?!;)|\brgba?\(|\bhsla?\()")
COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)


@pytest.mark.parametrize("path", [*SHEETS, *SOURCES], ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_colour_and_no_pixel_size_stands_outside_the_theme(path: Path) -> None:
    """ADM-2."""
    text = COMMENT.sub("", path.read_text(encoding="utf-8"))
    assert PIXELS.findall(text) == []
    if path.suffix == ".css":
        assert COLOURS.findall(text) == []


def test_every_custom_property_that_is_used_is_defined() -> None:
    """ADM-2."""
    sheet = theme.stylesheet()
    used = set(re.findall(r"var\((--[\w-]+)", sheet))
    defined = set(re.findall(r"(--[\w-]+)\s*:", sheet)) | {"--depth"}
    scales = re.compile(rf"--({'|'.join(theme.SCALES)})-a?\d+$")
    assert sorted(name for name in used - defined if not scales.match(name)) == []


def test_media_names_are_all_put_in() -> None:
    """ADM-2."""
    assert "@media (--" not in theme.stylesheet()


def test_dark_declares_again_whatever_is_made_of_a_scale() -> None:
    """A property computed at the root would keep the light scale's value."""
    dark = theme.stylesheet().split(".dark {")[1].split("}")[0]
    assert all(f"--{name}:" in dark for name in (*theme.BOTH, *theme.LIGHT))
    assert theme.LIGHT.keys() == theme.DARK.keys()
