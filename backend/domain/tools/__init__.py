"""Installed tools and calls to them in the sandbox."""
