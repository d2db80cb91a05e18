"""What stands in the head of every page."""

import reflex as rx

from autoweave_ui import theme

DESCRIPTION = "Build, run and operate AI agents on your own machines."
# Before the first paint, so that a folded rail is never seen open.
_FOLD = 'if (localStorage.getItem("autoweave.folded")) document.documentElement.dataset.folded = "true";'


def head() -> list[rx.Component]:
    """Return the elements: description, colours around the page, icon, and the fold of the rail."""
    return [
        rx.el.meta(name="description", content=DESCRIPTION),
        *(
            rx.el.meta(name="theme-color", content=colour, media=f"(prefers-color-scheme: {scheme})")
            for scheme, colour in theme.META_COLOURS.items()
        ),
        rx.el.link(rel="icon", href="/favicon.svg", type="image/svg+xml"),
        rx.el.script(_FOLD),
    ]
