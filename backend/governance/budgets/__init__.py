"""Limits, reservations and prices."""
