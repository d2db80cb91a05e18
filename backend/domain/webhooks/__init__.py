"""Webhooks: events of a tenant, sent to whoever subscribed, signed, until they are taken."""
