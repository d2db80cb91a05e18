"""Queries of identity, one module a table."""
