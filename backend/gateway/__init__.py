"""Doors in: each parses, authenticates, calls one verb and renders."""
