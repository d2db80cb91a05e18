"""Append-only record of privileged actions."""
