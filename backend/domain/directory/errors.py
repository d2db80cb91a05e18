"""What can go wrong with cards.

CardNotFound  404  no such card, or none that may be shown
"""

from backend.foundation.kernel.errors import NotFound


class CardNotFound(NotFound):
    code = "card_not_found"
    hint = "Publish the agent, or send an API key of its tenant."
