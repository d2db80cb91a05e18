"""Ephemeral broadcast and capped streams with cursors."""
