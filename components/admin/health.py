"""The parts of the system as a list that says what to do."""

from typing import Any

import reflex as rx

from components.basics.live import relative_time
from components.basics.places import loading, skeleton, status
from state.admin.health import WORDS, HealthState


def health_list() -> rx.Component:
    """The whole in one line, then each part."""
    return rx.cond(HealthState.loaded, _list(), _waiting())


def _list() -> rx.Component:
    return rx.fragment(
        rx.el.div(
            status(HealthState.worst, HealthState.summary),
            rx.el.span("checked ", relative_time(ms=HealthState.checked_ms), class_name="soft small"),
            class_name="row summary",
            role="status",
        ),
        rx.el.ul(rx.foreach(HealthState.parts, _part), class_name="parts"),
    )


def _part(part: rx.Var[Any]) -> rx.Component:
    changed = HealthState.changed.contains(part.name)
    return rx.el.li(
        rx.el.h2(part.title),
        status(part.status, _word(part.status)),
        rx.el.p(part.detail, class_name="detail soft"),
        rx.el.dl(rx.foreach(part.figures, _figure), class_name="figures"),
        rx.cond(part.cause, _cause(part), rx.fragment()),
        class_name=rx.cond(changed, "part changed", "part"),
        key=part.name + part.status,
    )


def _word(kind: rx.Var[str]) -> rx.Var[str]:
    return rx.match(kind, *WORDS.items(), kind)


def _figure(figure: rx.Var[Any]) -> rx.Component:
    return rx.el.div(rx.el.dt(figure[0]), rx.el.dd(figure[1], class_name="number"))


def _cause(part: rx.Var[Any]) -> rx.Component:
    return rx.el.div(
        rx.el.p(part.cause), rx.el.p(part.fix, class_name="soft"), class_name=rx.Var.create("cause ") + part.status
    )


def _waiting() -> rx.Component:
    row = rx.el.div(
        skeleton("9em", "1.2em"),
        skeleton("6em", "1.2em"),
        skeleton("60%", "1.2em"),
        class_name="part",
    )
    return loading(rx.el.div(*[row] * 7, class_name="parts"), what="Asking every part")
