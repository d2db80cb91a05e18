"""Threads and messages."""
