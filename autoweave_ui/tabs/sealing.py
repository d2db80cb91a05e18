"""A state as bytes and back: JSON of its fields, sealed. Reflex itself would pickle it.

Request headers are left out: they hold the session's cookie, and each event brings its own.
"""

import os
from typing import Any

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from reflex.state import BaseState

from autoweave_ui.tabs.naming import TabToken, headers

_NONCE = 12
_ROUTER = "router_data"
_LEFT_OUT = ("rx_router_", "_reflex_internal_")


def seal(token: TabToken, state: BaseState) -> bytes:
    """Return a state's own fields, readable with the tab's key alone and in this place alone."""
    values = {name: vars(state)[name] for name in stored_fields(type(state)) if name in vars(state)}
    if _ROUTER in values:
        values[_ROUTER] = {name: value for name, value in values[_ROUTER].items() if name != "headers"}
    nonce = os.urandom(_NONCE)
    return nonce + AESGCM(token.key).encrypt(nonce, msgspec.json.encode(values), _place(token, type(state)))


def unseal(token: TabToken, kind: type[BaseState], sealed: bytes) -> BaseState | None:
    """Return the state without its relatives; nothing for one that another version or another hand wrote."""
    try:
        text = AESGCM(token.key).decrypt(sealed[:_NONCE], sealed[_NONCE:], _place(token, kind))
        read = msgspec.json.decode(text, type=dict[str, Any])
        fields = stored_fields(kind)
        values = {name: msgspec.convert(value, fields[name]) for name, value in read.items() if name in fields}
    except (InvalidTag, msgspec.MsgspecError, TypeError, ValueError):
        return None
    state = kind.__new__(kind)
    router = values.pop(_ROUTER, None)
    state.__setstate__(values)
    if router:
        # As Reflex does it with the router's data of an event, in which nothing is new.
        vars(state)[_ROUTER] = state._update_router_vars({**router, "headers": headers()}, {})
        state._clean()
    state._was_touched = False
    return state


def stored_fields(kind: type[BaseState]) -> dict[str, Any]:
    """Return the fields that a state class declares itself, with their types."""
    own = ((name, field) for name, field in kind.__fields__.items() if field._owner is kind)
    return {name: field.outer_type_ for name, field in own if not name.startswith(_LEFT_OUT)}


def _place(token: TabToken, kind: type[BaseState]) -> bytes:
    return f"{token.ident};{kind.get_full_name()}".encode()
