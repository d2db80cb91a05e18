"""What children and guests answer, believed only where it has the shape."""

from dataclasses import replace
from typing import Literal, TypeVar

import msgspec

from backend.adapters.wasmtime.frames import Frame
from backend.adapters.wasmtime.process import ChildGone
from backend.domain.tools.ports import SandboxResult

_Shape = TypeVar("_Shape", bound=msgspec.Struct)


class Loaded(msgspec.Struct):
    """A child's answer to ``load``."""

    ok: bool
    error: str = ""


class Ended(msgspec.Struct):
    """A child's answer to ``call``; times are milliseconds, ``rss`` is bytes."""

    outcome: Literal["ok", "error", "trap", "timeout", "out_of_fuel", "out_of_memory", "output_too_large"]
    error: str
    fuel: int
    ms: float
    rss: int


class _Answer(msgspec.Struct):
    """What `run` of a guest returns: one of both."""

    ok: msgspec.Raw = msgspec.Raw()
    error: str | None = None


def understood(answer: Frame, shape: type[_Shape]) -> _Shape:
    """Read a child's header; a child that a guest took over could send anything, and is done for then."""
    try:
        return msgspec.convert(answer.header, shape)
    except msgspec.ValidationError as error:
        raise ChildGone(0) from error


def opened(result: SandboxResult) -> SandboxResult:
    """Take the tool's answer out of its envelope."""
    try:
        answer = msgspec.json.decode(result.output, type=_Answer)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return _failed(result, f"The tool's answer is not what the tool ABI asks for: {error}")
    if answer.error is not None:
        return _failed(result, answer.error or "The tool failed and did not say why.")
    if not (value := bytes(answer.ok)):
        return _failed(result, "The tool's answer has neither `ok` nor `error`.")
    return replace(result, output=value)


def _failed(result: SandboxResult, words: str) -> SandboxResult:
    return replace(result, outcome="error", output=b"", error=words)
