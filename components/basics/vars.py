"""Reading what Reflex cannot type by itself."""

from typing import Any

import reflex as rx


def ident(view: rx.Var[Any]) -> rx.Var[str]:
    """Return the id of a view: its type is a name of its own for ``str``, which Reflex does not know."""
    return view.to(dict)["id"].to(str)
