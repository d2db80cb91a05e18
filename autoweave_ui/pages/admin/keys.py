"""API keys of the workspace."""

import reflex as rx

from autoweave_ui.shell import page
from components.admin.keys import create_button, keys
from components.basics.places import page_head, scroll
from state.admin.keys import KeysState


@page("/admin/keys", title="API keys", area="admin", permission="keys:manage", on_load=[KeysState.load])
def api_keys() -> rx.Component:
    """The keys, and how to make and revoke one."""
    return scroll(
        page_head("API keys", "Let programs run agents and publish events.", create_button()),
        rx.el.div(keys(), class_name="content"),
        label="API keys",
    )
