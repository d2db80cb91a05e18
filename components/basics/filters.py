"""What narrows a list down: a search box and choices. What is asked for stands in the address of the page."""

from typing import Any

import reflex as rx

from components.basics.controls import icon


def toolbar(*controls: rx.Component) -> rx.Component:
    """The filters of a list, above it."""
    return rx.el.div(*controls, class_name="toolbar", role="search")


def search_box(label: str, words: str, *, text: rx.Var[str], version: rx.Var[int], on_change: Any) -> rx.Component:
    """A search box that asks a moment after the last key.

    Args:
        label: what it is called.
        words: what stands in it while it is empty.
        text: what it begins with; it keeps what is typed whatever comes back.
        version: changes when the text came from elsewhere, so that it begins anew.
        on_change: takes the text.
    """
    box = rx.el.input(
        type="search",
        class_name="input",
        aria_label=label,
        placeholder=words,
        default_value=text,
        on_change=on_change,
        max_length=120,
        key=version,
    )
    return rx.el.div(icon("search"), box, class_name="search")


def choice(label: str, everything: str, *options: Any, chosen: rx.Var[str], on_change: Any) -> rx.Component:
    """One of some values, or ``everything``, which is the empty one."""
    return rx.el.select(
        rx.el.option(everything, value=""),
        *options,
        class_name="input",
        aria_label=label,
        value=chosen,
        on_change=on_change,
    )


def options(values: dict[str, str]) -> list[rx.Component]:
    """The options of a choice: what stands in the address, and its words."""
    return [rx.el.option(words, value=value) for value, words in values.items()]


def names(values: rx.Var[list[str]]) -> rx.Component:
    """The options of a choice whose values are their own words."""
    return rx.foreach(values, lambda name: rx.el.option(name, value=name))
