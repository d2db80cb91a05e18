"""Tables: columns on a desk, small lists on a phone."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import reflex as rx

from components.basics.controls import link

Cell = rx.Component | rx.Var[Any] | str


@dataclass(frozen=True)
class Picks:
    """Boxes to choose rows: ``of`` a row, and ``of_all`` that can be."""

    of: Callable[[rx.Var[Any]], rx.Component]
    of_all: rx.Component


def table(
    columns: Sequence[str],
    rows: rx.Var[Any],
    cells: Callable[[rx.Var[Any]], Sequence[Cell]],
    *,
    label: str,
    actions: str,
    picks: Picks | None = None,
) -> rx.Component:
    """A table of ``rows``.

    Args:
        columns: the heads; the last column, of actions, is named by ``actions`` for screen readers only.
        rows: the views, one a row.
        cells: returns the content of a row's cells, the actions last.
        label: what the table is called.
        actions: what the column of actions is called.
        picks: the first column, where rows can be chosen.
    """

    def row(view: rx.Var[Any]) -> rx.Component:
        labels = [*columns, actions]
        return rx.el.tr(
            *([rx.el.td(picks.of(view), class_name="pick")] if picks else []),
            *[
                rx.el.td(cell, custom_attrs={"data-label": label})
                for label, cell in zip(labels, cells(view), strict=True)
            ],
        )

    heads = [rx.el.th(picks.of_all, scope="col", class_name="pick")] if picks else []
    heads += [rx.el.th(name, scope="col") for name in columns]
    last = rx.el.th(rx.el.span(actions, class_name="unseen"), scope="col")
    body = rx.el.tbody(rx.foreach(rows, row))
    return rx.el.div(
        rx.el.table(rx.el.thead(rx.el.tr(*heads, last)), body, class_name="table"),
        class_name="table-wrap",
        # It may be wider than the page, and then a keyboard has to scroll it.
        tab_index=0,
        role="group",
        aria_label=label,
    )


def opens(path: str, part: rx.Var[Any], *, name: rx.Var[Any]) -> rx.Component:
    """The link of a row to its own page below ``path``; ``name`` is what a screen reader says it opens."""
    return link(
        "Open",
        to=rx.Var.create(f"{path}/") + part,
        class_name="button quiet",
        aria_label=rx.Var.create("Open ") + name,
    )
