"""Requests to addresses that people chose."""
