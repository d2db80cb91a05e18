"""The verbs of identity: `Identity` is the room's service, the other modules are its parts."""

from backend.governance.identity.service.identity import Identity
from backend.governance.identity.service.passwords import Passwords

__all__ = ["Identity", "Passwords"]
