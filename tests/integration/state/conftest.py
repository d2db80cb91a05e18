"""Tabs over real rooms."""

from collections.abc import Callable
from typing import Any, TypeVar

import pytest
import reflex as rx

from tests.fixtures.door import sqlite_installation

__all__ = ["sqlite_installation"]

S = TypeVar("S", bound=rx.State)


class Tab:
    """What a browser's tab has on the server: one tree of states that share an address and a cookie."""

    def __init__(self, cookie: str, address: str) -> None:
        self._root = rx.State(_reflex_internal_init=True)  # pyright: ignore[reportCallIssue]
        self._cookie = cookie
        self._known: dict[str, Any] = {}
        self.go(address)

    def go(self, address: str) -> None:
        """Change the address."""
        headers = {"cookie": f"aw_session={self._cookie}", "origin": "http://localhost:8000"}
        data = {"headers": headers, "asPath": address, "pathname": address, "query": {}}
        self._known = self._root._update_router_vars(data, self._known)

    async def state(self, kind: type[S]) -> S:
        """Return one of its states."""
        return await self._root.get_state(kind)


@pytest.fixture
def tab() -> Callable[[str, str], Tab]:
    """Opens tabs: cookie, address."""
    return Tab
