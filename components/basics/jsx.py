"""React components that stand in a ``.jsx`` file beside the Python that uses them."""

from pathlib import Path
from typing import Any, ClassVar

import reflex as rx
from reflex_components_lucide.icon import LUCIDE_LIBRARY

ROOT = Path("autoweave")
"""The folder of the build into which the front end's plugin copies every ``components/**/*.jsx``."""


class Local(rx.Component):
    """Base of these components; ``library`` is ``$/autoweave/<folder>/<file>.jsx``, ``tag`` the exported name."""

    lib_dependencies: ClassVar[list[str]] = [LUCIDE_LIBRARY]

    @classmethod
    def create(cls, *children: Any, **props: Any) -> rx.Component:
        return super().create(*children, **props)


def source(path: str) -> str:
    """Return the library name of a file, given as ``<folder>/<name>``."""
    return f"$/{ROOT}/{path}.jsx"
