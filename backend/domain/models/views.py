"""What pages and doors read of models."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelStatus:
    """The default model. ``words`` says in a sentence what answers here; ``hint`` is the next step, where there is one.

    ``configured`` is true when a real model is set and its provider has what it needs.
    """

    model: str
    provider: str
    configured: bool
    words: str
    hint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelHealth:
    """Whether the default model's provider can be reached; unless it is ``ok``, ``cause`` and ``fix`` say more."""

    status: Literal["ok", "attention", "failed"]
    detail: str
    cause: str = ""
    fix: str = ""
