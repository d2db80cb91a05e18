"""Telemetry of a process: start it first, close it last."""

from backend.foundation.telemetry.service.limits import Limits
from backend.foundation.telemetry.service.telemetry import Telemetry

__all__ = ["Limits", "Telemetry"]
