"""The verbs of the live room."""

from backend.foundation.live.service.live import Live
from backend.foundation.live.service.writer import RunWriter

__all__ = ["Live", "RunWriter"]
