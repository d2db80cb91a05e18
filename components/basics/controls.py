"""Buttons, links, fields and what stands around them."""

from typing import Any, Literal

import reflex as rx
from reflex_components_core.el.elements.base import BaseHTML
from reflex_components_core.react_router.dom import ReactRouterLink

from components.basics.jsx import Local, source

Kind = Literal["primary", "plain", "quiet", "danger", "danger-quiet"]


class NativeForm(BaseHTML):
    """A form that the browser sends by itself: Reflex's own always prevents that."""

    tag = "form"
    method: rx.Var[str]
    action: rx.Var[str]


class QueryField(Local):
    """A hidden field with what the page's own address says under this name."""

    library = source("basics/forms")
    tag = "QueryField"
    name: rx.Var[str]
    fallback: rx.Var[str]


native_form = NativeForm.create
query_field = QueryField.create


def icon(name: str, **props: Any) -> rx.Component:
    """A Lucide icon that only decorates: what it means stands beside it in words."""
    return rx.icon(name, size=16, custom_attrs={"aria-hidden": True}, **props)


def button(*children: Any, kind: Kind = "plain", class_name: str = "", **props: Any) -> rx.Component:
    """A button; an icon alone needs ``aria_label``."""
    return rx.el.button(*children, class_name=f"button {kind} {class_name}", **{"type": "button", **props})


def icon_button(name: str, label: str | rx.Var[str], *, kind: Kind = "quiet", **props: Any) -> rx.Component:
    """A button that is an icon, named for screen readers and on hover."""
    return button(icon(name), kind=kind, class_name="icon", aria_label=label, title=label, **props)


def link(*children: Any, to: str | rx.Var[str], class_name: str = "link", **props: Any) -> rx.Component:
    """A link to another page of the app, loaded ahead when the pointer comes near."""
    return ReactRouterLink.create(*children, to=to, class_name=class_name, custom_attrs={"prefetch": "intent"}, **props)


def field(
    label: str,
    name: str,
    *,
    error: str | rx.Var[str] = "",
    hint: str = "",
    **props: Any,
) -> rx.Component:
    """A labelled input with its hint, and its error where it belongs: at the field."""
    known = f"{name}-hint {name}-error"
    return rx.el.div(
        rx.el.label(label, html_for=name),
        rx.el.input(
            id=name,
            name=name,
            class_name="input tall",
            aria_describedby=known,
            aria_invalid=rx.cond(error, "true", "false"),
            **props,
        ),
        rx.el.p(hint, id=f"{name}-hint", class_name="hint") if hint else rx.fragment(),
        rx.el.p(rx.cond(error, icon("circle-alert"), rx.fragment()), error, id=f"{name}-error", class_name="error"),
        class_name="field",
    )


def note(what: str | rx.Var[str], *more: Any, kind: Literal["info", "attention", "failed"] = "info") -> rx.Component:
    """Something to read before going on."""
    shape = {"info": "info", "attention": "triangle-alert", "failed": "circle-alert"}[kind]
    return rx.el.div(
        icon(shape),
        rx.el.div(rx.el.p(what, class_name="what"), *more, class_name="grow"),
        class_name=f"note {kind}",
        role="alert" if kind == "failed" else "note",
    )
