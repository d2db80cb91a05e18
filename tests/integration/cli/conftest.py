"""Installations for commands that are looked at from inside."""

from tests.fixtures.door import kafka_installation, sqlite_installation

__all__ = ["kafka_installation", "sqlite_installation"]
