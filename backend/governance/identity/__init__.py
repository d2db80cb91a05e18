"""Tenants, users, roles, sessions and API keys."""
