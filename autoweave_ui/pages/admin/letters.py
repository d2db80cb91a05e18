"""The events that consumers gave up."""

import reflex as rx

from autoweave_ui.shell import page
from components.admin.letters import letters, replay_all_button
from components.basics.places import page_head, scroll
from state.admin.chosen import ChosenState
from state.admin.letters import LettersState


@page(
    "/admin/dead-letters",
    title="Dead letters",
    area="admin",
    permission="bus:repair",
    on_load=[LettersState.load, ChosenState.clear, LettersState.watch],
)
def dead_letters() -> rx.Component:
    """What could not be handled, and the way to each."""
    return scroll(
        page_head("Dead letters", "Events that nobody could handle. Mend the cause, then replay.", replay_all_button()),
        rx.el.div(letters(), class_name="content"),
        label="Dead letters",
    )
