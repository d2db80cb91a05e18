"""One agent's card: facts, skills, events, and the card itself as others read it."""

from typing import Any

import reflex as rx

from components.admin.discovery import no_worker
from components.basics.controls import button, icon, link
from components.basics.live import copy_button, relative_time
from components.basics.places import empty, loading, section, skeleton, trouble
from components.basics.tables import table
from state.admin.card import CardState
from state.admin.discovery import PATH
from state.session import SessionState

VIEW = CardState.view


def card_actions() -> rx.Component:
    """Who may, starts or stops the agent and shows its card to others or not."""
    may = SessionState.permissions.contains
    return rx.cond(
        CardState.phase == "ready",
        rx.fragment(
            rx.cond(
                may("agents:manage"),
                rx.cond(
                    VIEW["runs"].to(bool),
                    button(icon("square"), "Stop agent", on_click=CardState.stop),
                    button(icon("play"), "Start agent", kind="primary", on_click=CardState.start),
                ),
                rx.fragment(),
            ),
            rx.cond(
                may("agents:publish"),
                rx.cond(
                    VIEW["public"].to(bool),
                    button(icon("lock"), "Hide card", on_click=CardState.unpublish),
                    button(icon("globe"), "Publish card", on_click=CardState.publish),
                ),
                rx.fragment(),
            ),
        ),
        rx.fragment(),
    )


def card() -> rx.Component:
    """The card, or what stands in its place."""
    return rx.el.div(
        trouble(CardState.problem),
        rx.match(
            CardState.phase,
            ("ready", _ready()),
            ("missing", _missing()),
            rx.cond(CardState.problem["what"], rx.fragment(), _waiting()),
        ),
        class_name="letter stack",
    )


def _ready() -> rx.Component:
    return rx.fragment(
        rx.cond(VIEW["dead"].to(bool), no_worker(), rx.fragment()),
        _facts(),
        _skills(),
        _events(),
        _source(),
    )


def _facts() -> rx.Component:
    public = rx.fragment(
        "Anybody, at ",
        rx.el.span(VIEW["public_at"].to(str), class_name="mono"),
        copy_button(text=VIEW["public_at"].to(str), label="Copy address of the card", icon_only=True, quiet=True),
    )
    workspace = "This workspace, and programs with one of its keys"
    return rx.el.section(
        rx.el.h2("Facts"),
        rx.el.dl(
            _fact("Speaks A2A at", VIEW["url"].to(str), copied="address"),
            rx.el.div(
                rx.el.dt("Card read by"), rx.el.dd(rx.cond(VIEW["public"].to(bool), public, rx.fragment(workspace)))
            ),
            _fact("Signed by key", VIEW["kid"].to(str), copied="key id", after="signature verified"),
            rx.el.div(rx.el.dt("Last changed"), rx.el.dd(relative_time(ms=VIEW["sequence"].to(int)))),
            rx.el.div(rx.el.dt("Believed until"), rx.el.dd(relative_time(ms=VIEW["valid_until_ms"].to(int)))),
            class_name="facts",
        ),
        class_name="section",
    )


def _fact(name: str, value: rx.Var[str], *, copied: str, after: str = "") -> rx.Component:
    return rx.el.div(
        rx.el.dt(name),
        rx.el.dd(
            rx.el.span(value, class_name="mono"),
            copy_button(text=value, label=f"Copy {copied}", icon_only=True, quiet=True),
            rx.el.span(after, class_name="soft") if after else rx.fragment(),
        ),
    )


def _skills() -> rx.Component:
    def one(skill: rx.Var[Any]) -> rx.Component:
        return rx.el.div(rx.el.dt(skill.name, class_name="strong", dir="auto"), rx.el.dd(skill.description, dir="auto"))

    return section(
        "Skills", "What it can be asked for.", rx.el.dl(rx.foreach(CardState.skills, one), class_name="facts skills")
    )


def _events() -> rx.Component:
    def cells(flow: rx.Var[Any]) -> list[rx.Component | rx.Var[Any]]:
        opens = link(
            "Open",
            to=rx.Var.create("/admin/topics/") + flow.topic,
            class_name="button quiet",
            aria_label=rx.Var.create("Open the topic of ") + flow.type,
        )
        return [
            rx.el.span(flow.way),
            rx.el.span(flow.type, class_name="mono"),
            rx.el.span(flow.topic, class_name="mono"),
            rx.cond(SessionState.permissions.contains("bus:read"), opens, rx.fragment()),
        ]

    columns = ("Way", "Type", "Topic")
    return section(
        "Events",
        "What it takes and tells on the bus; the schemas are in /asyncapi.yaml.",
        table(columns, CardState.flows, cells, label="Events of the agent", actions="Topic"),
    )


def _source() -> rx.Component:
    return section(
        "Card",
        "As others read it, by A2A 1.0.",
        rx.el.div(copy_button(text=VIEW["card"].to(str), label="Copy card"), class_name="row"),
        rx.el.pre(VIEW["card"].to(str), class_name="source", tab_index=0, aria_label="The card as JSON", role="region"),
    )


def _missing() -> rx.Component:
    return empty(
        "There is no such agent",
        "It was terminated, or the address is another workspace's.",
        link("Show all agents", to=PATH, class_name="button plain"),
    )


def _waiting() -> rx.Component:
    return loading(*[skeleton("100%", "1.8em")] * 8, what="Loading the card")
