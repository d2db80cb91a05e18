"""The door over real rooms."""

from tests.fixtures.door import empty_installation, installation, sqlite_installation

__all__ = ["empty_installation", "installation", "sqlite_installation"]
