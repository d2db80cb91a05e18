"""The chat's React components, as Python knows them."""

from typing import Any, ClassVar

import reflex as rx
from reflex.event import no_args_event_spec
from reflex_base.vars.base import Var

from components.basics.jsx import Local, source


def _three_texts(first: Var[str], second: Var[str], third: Var[str]) -> tuple[Var[str], Var[str], Var[str]]:
    return (first, second, third)


def _two_texts(first: Var[str], second: Var[str]) -> tuple[Var[str], Var[str]]:
    return (first, second)


def _one_text(text: Var[str]) -> tuple[Var[str]]:
    return (text,)


class Markdown(Local):
    """A text of a model: markdown, code and tables, never HTML."""

    library = source("chat/markdown")
    tag = "Markdown"
    lib_dependencies: ClassVar[list[str]] = [*Local.lib_dependencies, "marked@16.4.1", "lowlight@3.3.0"]
    text: rx.Var[str]


class ToolLine(Local):
    """A tool call; ``trace`` is the id that "Open trace" leads to, empty for none."""

    library = source("chat/tools")
    tag = "ToolLine"
    call: rx.Var[Any]
    trace: rx.Var[str]


class Flight(Local):
    """The message in flight of a ``run``; ``waiting`` shows that one is about to start."""

    library = source("chat/flight")
    tag = "Flight"
    lib_dependencies: ClassVar[list[str]] = Markdown.lib_dependencies
    run: rx.Var[str]
    waiting: rx.Var[bool]
    stopping: rx.Var[bool]
    on_done: rx.EventHandler[no_args_event_spec]


class Log(Local):
    """The conversation; its children are the turns, then what this browser has not sent yet.

    It shows a window from ``oldest`` to ``newest``, and asks for more when its reader comes near an end of it.
    """

    library = source("chat/log")
    tag = "Log"
    online: rx.Var[bool]
    owner: rx.Var[str]
    thread: rx.Var[str]
    taken: rx.Var[list[str]]
    turns: rx.Var[int]
    oldest: rx.Var[str]
    newest: rx.Var[str]
    has_older: rx.Var[bool]
    has_newer: rx.Var[bool]
    on_older: rx.EventHandler[no_args_event_spec]
    on_newer: rx.EventHandler[no_args_event_spec]
    on_end: rx.EventHandler[no_args_event_spec]


class Composer(Local):
    """Where one writes; `on_send` gets the text, an id that makes sending it twice harmless, and the thread of the
    page's address, empty for a new chat."""

    library = source("chat/composer")
    tag = "Composer"
    owner: rx.Var[str]
    running: rx.Var[bool]
    stopping: rx.Var[bool]
    online: rx.Var[bool]
    taken: rx.Var[list[str]]
    refused: rx.Var[str]
    begun: rx.Var[str]
    placeholder: rx.Var[str]
    on_send: rx.EventHandler[_three_texts]
    on_stop: rx.EventHandler[no_args_event_spec]


class Prompt(Local):
    """A question that an empty chat offers."""

    library = source("chat/composer")
    tag = "Prompt"
    text: rx.Var[str]


class History(Local):
    """The list of chats."""

    library = source("chat/history")
    tag = "History"
    threads: rx.Var[Any]
    current: rx.Var[str]
    has_more: rx.Var[bool]
    on_rename: rx.EventHandler[_two_texts]
    on_remove: rx.EventHandler[_one_text]
    on_more: rx.EventHandler[no_args_event_spec]
