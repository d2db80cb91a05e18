"""The frame around every page: who may see it, the rail, and what floats above."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import reflex as rx
from reflex.style import resolved_color_mode, toggle_color_mode
from reflex_components_core.core.banner import has_connection_errors

from components.basics.controls import icon, link
from components.basics.frame import mark, rail, rail_toggle, skip_link
from components.basics.layers import palette, palette_button
from components.basics.live import connection_bar, notice
from components.basics.places import empty, status
from state.notices import NoticeState
from state.palette import PaletteState
from state.session import SessionState

Area = Literal["chat", "admin", "account"]
Page = Callable[[], rx.Component]

SHORTCUTS = [
    ["Ctrl K", "Search pages, chats and agents"],
    ["?", "Show these shortcuts"],
    ["Enter", "Send the message"],
    ["Shift Enter", "Start a new line"],
    ["Esc", "Stop the answer, or close what is on top"],
    ["↑ ↓", "Move in a list"],
]


def page(
    route: str,
    *,
    title: str | rx.Var[str],
    area: Area,
    permission: str = "",
    on_load: Sequence[Any] = (),
    rail_body: Page | None = None,
) -> Callable[[Page], Page]:
    """Make a page of the product out of a function that returns its content.

    Who is not signed in is sent to the sign-in page before anything is loaded; who lacks the permission is told so.
    Each handler of the page checks again by itself: the frame only spares a person a page of errors.
    """

    def register(content: Page) -> Page:
        def framed() -> rx.Component:
            return _frame(area, _allowed(permission, content()), title, rail_body or _admin_rail)

        framed.__name__ = content.__name__
        loads = [SessionState.enter, SessionState.watch, *on_load]
        return rx.page(route=route, title=_full_title(title), on_load=loads)(framed)

    return register


def plain_page(route: str, *, title: str, on_load: Sequence[Any] = ()) -> Callable[[Page], Page]:
    """Make a page outside the door: one centred column with the mark, and nothing else."""

    def register(content: Page) -> Page:
        def alone() -> rx.Component:
            column = rx.el.div(mark(), content(), class_name="column")
            return rx.fragment(rx.el.main(column, class_name="alone", id="main"), connection_bar())

        alone.__name__ = content.__name__
        return rx.page(route=route, title=_full_title(title), on_load=list(on_load))(alone)

    return register


def blank_frame() -> rx.Component:
    """What a page of an address with a parameter shows until its scripts have come: the frame, at its true size."""
    return rx.el.div(
        rx.el.div(rx.el.div(mark(), class_name="blank-mark"), class_name="rail"),
        rx.el.div(class_name="page"),
        class_name="frame",
        aria_hidden=True,
    )


def _full_title(title: str | rx.Var[str]) -> str | rx.Var[str]:
    return f"{title} · AutoWeave" if isinstance(title, str) else title + " · AutoWeave"


def _allowed(permission: str, content: rx.Component) -> rx.Component:
    if not permission:
        return content
    refused = rx.el.div(
        empty("You may not open this page", f"It needs the permission {permission}. An administrator can grant it."),
        class_name="content",
    )
    return rx.cond(SessionState.ready & ~SessionState.permissions.contains(permission), refused, content)


def _frame(area: Area, content: rx.Component, title: str | rx.Var[str], rail_body: Page) -> rx.Component:
    return rx.fragment(
        skip_link(),
        rx.el.div(
            rail(
                _rail_head(), _areas(area), rx.el.div(rail_body(), class_name="body"), _rail_foot(), label="Navigation"
            ),
            rx.el.main(_topbar(title if area == "chat" else ""), content, class_name="page", id="main", tab_index=-1),
            class_name="frame",
        ),
        palette(items=PaletteState.items, shortcuts=SHORTCUTS, on_open=PaletteState.load),
        notice(notice=NoticeState.notice, on_close=NoticeState.close),
        connection_bar(),
    )


def _rail_head() -> rx.Component:
    tenant = rx.el.span(SessionState.tenant, class_name="tenant grow cut")
    return rx.el.header(mark(), tenant, rail_toggle(class_name="on-desk"))


def _areas(area: Area) -> rx.Component:
    may = SessionState.permissions.contains
    return rx.el.nav(
        rx.cond(may("chat:use"), _area("Chat", "message-square", "/chat", here=area == "chat"), rx.fragment()),
        rx.cond(may("health:read"), _area("Admin", "activity", "/admin/health", here=area == "admin"), rx.fragment()),
        class_name="areas",
        aria_label="Areas",
    )


def _area(name: str, shape: str, to: str, *, here: bool) -> rx.Component:
    current = "true" if here else "false"
    return link(
        icon(shape),
        rx.el.span(name, class_name="label"),
        to=to,
        class_name="item here" if here else "item",
        title=name,
        aria_current=current,
    )


def _admin_rail() -> rx.Component:
    may = SessionState.permissions.contains
    return rx.el.nav(
        rx.el.h2("Operate", class_name="group"),
        rx.cond(may("health:read"), _entry("Health", "heart-pulse", "/admin/health"), rx.fragment()),
        rx.cond(may("traces:read"), _entry("Traces", "list-tree", "/admin/traces"), rx.fragment()),
        rx.cond(may("agents:read"), _entry("Discovery", "radar", "/admin/agents"), rx.fragment()),
        rx.cond(may("health:read"), _entry("Topics", "waypoints", "/admin/topics"), rx.fragment()),
        rx.cond(may("bus:read"), _entry("Event types", "book-open", "/admin/events"), rx.fragment()),
        rx.cond(may("bus:repair"), _entry("Dead letters", "mail-x", "/admin/dead-letters"), rx.fragment()),
        rx.cond(may("webhooks:read"), _entry("Webhooks", "webhook", "/admin/webhooks"), rx.fragment()),
        rx.cond(may("keys:manage"), _entry("API keys", "key-round", "/admin/keys"), rx.fragment()),
        aria_label="Admin",
    )


def _entry(name: str, shape: str, to: str) -> rx.Component:
    path = rx.State.router.url.path
    here = rx.cond(path == to, "page", rx.cond(path.startswith(to + "/"), "true", "false"))
    return link(
        icon(shape), rx.el.span(name, class_name="label"), to=to, class_name="item", title=name, aria_current=here
    )


def _rail_foot() -> rx.Component:
    account = link(
        icon("circle-user-round"),
        rx.el.span(SessionState.name, class_name="label cut"),
        to="/account",
        class_name="item",
        title="Account",
        aria_label="Account",
    )
    connection = rx.cond(has_connection_errors, status("attention", "Offline"), status("ok", "Connected"))
    return rx.el.footer(
        account,
        rx.el.div(
            rx.el.span(connection, class_name="label grow"),
            palette_button(icon("search"), class_name="button quiet icon"),
            _theme_button(),
            class_name="row",
        ),
    )


def _theme_button() -> rx.Component:
    dark = resolved_color_mode == "dark"
    label = rx.cond(dark, "Use the light theme", "Use the dark theme")
    return rx.el.button(
        rx.cond(dark, icon("sun"), icon("moon")),
        type="button",
        class_name="button quiet icon",
        aria_label=label,
        title=label,
        on_click=toggle_color_mode,
    )


def _topbar(title: str | rx.Var[str]) -> rx.Component:
    return rx.el.div(
        rail_toggle(drawer=True),
        rx.el.span(title, class_name="title grow cut"),
        palette_button(icon("search"), class_name="button quiet icon"),
        class_name="topbar",
    )
