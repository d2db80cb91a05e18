"""Valkey (or Redis) behind the bus and the live streams."""
