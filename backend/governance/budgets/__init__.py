"""Limits, reservations and prices; and how often doors may be used."""
