"""Callers, permissions, ids, errors, time and the unit of work."""
