"""A child of the sandbox: ``python -m backend.adapters.wasmtime.child <options as JSON>``, frames on descriptor 0.

It holds nothing worth having: no environment, no files, no key. It runs one call at a time, armed with a timer of the
kernel, so that it dies on time even where wasmtime could not be interrupted.
"""

import json
import os
import socket
import sys
from typing import Any, cast

from wasmtime import Module, WasmtimeError

from backend.adapters.wasmtime import guest, lockdown
from backend.adapters.wasmtime.alarm import Alarm
from backend.adapters.wasmtime.engine import new_engine
from backend.adapters.wasmtime.frames import Frame, encode, receive

_GRACE_S = 0.25
"""How much later than the epoch the kernel's timer is: a guest that the epoch stops does not cost the child."""


class Child:
    """The modules of this process and the requests on them."""

    def __init__(self) -> None:
        self._engine = new_engine()
        self._alarm = Alarm(self._engine)
        self._modules: dict[str, Module] = {}

    def answer(self, frame: Frame) -> tuple[dict[str, Any], bytes]:
        """Do what a frame asks for and return the answer's header and body."""
        match frame.header["op"]:
            case "call":
                return self._call(frame)
            case "load":
                return self._load(frame)
            case "compile":
                return self._compile(frame)
            case other:
                return {"ok": False, "error": f"unknown request {other!r}"}, b""

    def _compile(self, frame: Frame) -> tuple[dict[str, Any], bytes]:
        lockdown.arm(frame.header["timeout"])
        try:
            return {"ok": True}, guest.compiled(self._engine, frame.body)
        except guest.Refused as refused:
            return {"ok": False, "error": str(refused)}, b""
        finally:
            lockdown.disarm()

    def _load(self, frame: Frame) -> tuple[dict[str, Any], bytes]:
        for sha256 in cast("list[str]", frame.header["drop"]):
            self._modules.pop(sha256).close()
        lockdown.arm(frame.header["timeout"])
        try:
            self._modules[frame.header["sha256"]] = Module.deserialize(self._engine, frame.body)
            return {"ok": True}, b""
        except WasmtimeError as error:
            return {"ok": False, "error": str(error)[:300]}, b""
        finally:
            lockdown.disarm()

    def _call(self, frame: Frame) -> tuple[dict[str, Any], bytes]:
        head = frame.header
        timeout: float = head["timeout"]
        bounds = guest.Bounds(head["memory"], head["fuel"], head["output"])
        lockdown.arm(timeout + _GRACE_S)
        self._alarm.set(timeout)
        try:
            ended = guest.run(self._engine, self._modules[head["sha256"]], frame.body, bounds)
        finally:
            self._alarm.clear()
            lockdown.disarm()
        header = {
            "outcome": ended.outcome,
            "error": ended.error,
            "fuel": ended.fuel_used,
            "ms": ended.duration_ms,
            "rss": lockdown.resident_bytes(),
        }
        return header, ended.output


def main(options: dict[str, Any]) -> None:
    """Lock the process down, say ``ready``, then serve until the parent closes its end."""
    lockdown.die_with(options["parent"])
    connection = socket.socket(fileno=0)
    child = Child()
    lockdown.shut(options["folder"], options["address_space"])
    connection.sendall(encode({"ready": True}))
    while (frame := receive(connection)) is not None:
        header, body = child.answer(frame)
        connection.sendall(encode(header, body))
    # Without the interpreter's own end, which takes wasmtime's objects apart in any order.
    os._exit(0)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
