"""What a handler may tell the bus.

└── Hopeless  trying again cannot help: the event becomes a dead letter at once
"""


class Hopeless(Exception):
    """Raise it from the reason, ``raise Hopeless(…) from error``: that is what the dead letter tells."""
