"""What stands where data will be, or where none is: skeletons, empty states, status marks, page heads."""

from typing import Any

import reflex as rx

from components.basics.controls import icon, note

STATUS_SHAPES = {"attention": "triangle-alert", "failed": "x"}


def status(kind: str | rx.Var[str], word: str | rx.Var[str]) -> rx.Component:
    """A status as shape, word and colour; ``kind`` is running, ok, attention, failed or off."""
    shape = rx.match(
        kind,
        ("attention", icon("triangle-alert")),
        ("failed", icon("x")),
        rx.el.span(class_name=rx.Var.create("shape ") + kind, aria_hidden=True),
    )
    return rx.el.span(shape, rx.el.span(word), class_name=rx.Var.create("status ") + kind)


def skeleton(width: str = "100%", height: str = "1em") -> rx.Component:
    """A piece of the true size for what is being loaded."""
    return rx.el.span(class_name="skeleton", style={"width": width, "height": height}, aria_hidden=True)


def loading(*pieces: rx.Component, what: str = "Loading") -> rx.Component:
    """Skeletons, and the words about them for who cannot see them."""
    return rx.el.div(rx.el.span(what, class_name="unseen", role="status"), *pieces, class_name="stack loose")


def empty(title: str, why: str, *actions: rx.Component) -> rx.Component:
    """An empty place that teaches: what it is for, one action, one example."""
    return rx.el.div(
        rx.el.h2(title),
        rx.el.p(why),
        rx.el.div(*actions, class_name="row") if actions else rx.fragment(),
        class_name="empty",
    )


def trouble(problem: rx.Var[Any]) -> rx.Component:
    """Why a page shows nothing, or nothing new, and the next step; nothing where there is no problem."""
    return rx.cond(
        problem["what"],
        note(problem["what"], rx.el.p(problem["next"], class_name="soft"), kind="failed"),
        rx.fragment(),
    )


def page_head(title: str | rx.Var[str], purpose: str | rx.Var[str], *actions: rx.Component) -> rx.Component:
    """Title, one line of purpose, and the page's actions."""
    return rx.el.header(
        rx.el.div(rx.el.h1(title), rx.el.p(purpose), class_name="grow"),
        rx.el.div(*actions, class_name="actions") if actions else rx.fragment(),
        class_name="head",
    )


def scroll(*children: rx.Component, label: str | rx.Var[str]) -> rx.Component:
    """The part of a page that scrolls; a keyboard can scroll it even where it holds nothing to press."""
    return rx.el.div(*children, class_name="scroll", tab_index=0, role="region", aria_label=label)


def section(title: str, why: str, *children: Any) -> rx.Component:
    """A part of a page under its own heading."""
    return rx.el.section(rx.el.h2(title), rx.el.p(why, class_name="measure"), *children, class_name="section")
