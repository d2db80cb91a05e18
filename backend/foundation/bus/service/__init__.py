"""The verbs of the bus."""

from backend.foundation.bus.service.bus import BusService
from backend.foundation.bus.service.contract import Contract
from backend.foundation.bus.service.letters import DeadLetters
from backend.foundation.bus.service.work import Handler, SlowHandler, Wants

__all__ = ["BusService", "Contract", "DeadLetters", "Handler", "SlowHandler", "Wants"]
