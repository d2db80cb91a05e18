"""Fixtures of all tests, one module a topic."""

import importlib.util

_TOPICS = (
    "skips",
    "side_by_side",
    "examples",
    "postgres",
    "database",
    "valkey",
    "kafka",
    "model_stub",
    "engine",
    "app",
    "clock",
    "receiver",
    "mesh",
)

pytest_plugins = [
    f"tests.fixtures.{topic}" for topic in _TOPICS if importlib.util.find_spec(f"tests.fixtures.{topic}") is not None
]
