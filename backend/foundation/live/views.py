"""What goes over a run's stream."""

from typing import Any, Literal

import msgspec

Kind = Literal["token", "tool", "reset", "status", "done", "error"]


class LiveEntry(msgspec.Struct, frozen=True):
    """One entry of a run's stream.

    Attributes:
        epoch: the claim of the run under which it was written; a newer epoch makes all older entries void.
        path: the step that it belongs to, empty for the run itself.
        seq: counts from 1 within the epoch, without a gap.
        kind: ``token`` {"text"}, ``tool`` {"name", "status", "arguments", "result", "duration_ms"}, ``reset`` (forget
            what was shown of the path; with an empty path of the whole run, and load the rows again), ``status``
            {"status"}, ``done`` {"status", "output"} or ``error`` {"code", "message", "hint"}.
        data: see ``kind``.
    """

    epoch: int
    path: str
    seq: int
    kind: Kind
    data: dict[str, Any]
