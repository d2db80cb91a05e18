"""A number of its own module, because the sandbox's parent must not load wasmtime to read it."""

ENGINE_REVISION = 1
"""Raise it whenever `engine.new_engine` changes, so that no compiled code of the old one is looked up."""
