"""The accessibility checker axe."""

import functools

import pytest

from tests.fixtures.js_checks import ChecksMissing, installed


@functools.cache
def axe_script() -> str:
    """Return axe's source."""
    try:
        return (installed("axe-core") / "axe.min.js").read_text(encoding="utf-8")
    except ChecksMissing as missing:
        pytest.skip(str(missing))
