"""The door over real rooms, under attack."""

from tests.fixtures.door import installation, sqlite_installation

__all__ = ["installation", "sqlite_installation"]
