"""The `autoweave` command."""
