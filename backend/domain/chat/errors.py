"""What can go wrong in a chat.

├── ThreadNotFound   404  no such conversation of this person
├── EmptyMessage     422  nothing was written
└── MessageTooLong   413  above 100,000 characters
"""

from backend.foundation.kernel.errors import Invalid, NotFound, TooLarge


class ThreadNotFound(NotFound):
    code = "thread_not_found"
    hint = "It may have been deleted; start a new chat."


class EmptyMessage(Invalid):
    code = "empty_message"
    hint = "Write something, then send it."


class MessageTooLong(TooLarge):
    code = "message_too_long"
    hint = "Send it in parts of at most 100,000 characters."
