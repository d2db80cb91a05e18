"""Logs: one line an event, with trace and tenant, credentials masked; as text for a terminal or as JSON.

Rooms write `log = get_logger("chat")` and `log.info("message sent", thread=thread)`: the words never change, the facts
are fields. What libraries log by `logging` comes out in the same form.
"""

from backend.foundation.telemetry.logs.setup import Logger, configure_logs, get_logger, log_fields

__all__ = ["Logger", "configure_logs", "get_logger", "log_fields"]
