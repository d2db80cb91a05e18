"""The pages. Reflex compiles what is imported here, each module into a bundle of its own."""

from autoweave_ui.pages import not_found
from autoweave_ui.pages.account import account, setup, sign_in
from autoweave_ui.pages.admin import (
    card,
    discovery,
    event_type,
    event_types,
    health,
    keys,
    letter,
    letters,
    topic,
    topics,
    trace,
    traces,
    webhook,
    webhooks,
)
from autoweave_ui.pages.chat import chat

__all__ = [
    "account",
    "card",
    "chat",
    "discovery",
    "event_type",
    "event_types",
    "health",
    "keys",
    "letter",
    "letters",
    "not_found",
    "setup",
    "sign_in",
    "topic",
    "topics",
    "trace",
    "traces",
    "webhook",
    "webhooks",
]
