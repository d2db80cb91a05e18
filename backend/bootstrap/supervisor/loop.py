"""Start by readiness, restart what crashes, drain at the end."""

import json
import signal
import time
from collections.abc import Callable, Iterable

from backend.bootstrap import embedded
from backend.bootstrap.entrance import check_address
from backend.bootstrap.settings import Settings
from backend.bootstrap.supervisor import budget, probe
from backend.bootstrap.supervisor.child import Child
from backend.bootstrap.supervisor.output import write_all
from backend.bootstrap.supervisor.plan import Plan
from backend.bootstrap.supervisor.watch import Watch

_START_S = 90.0
_DRAIN_S = 15.0
_VALKEY_DRAIN_S = 10.0
_LOOK_S = 0.05
_IDLE_S = 5.0
WRONG_USE = 2
"""The exit code of a child that was told something impossible: to start it again would change nothing."""


class Supervisor:
    """Runs until it is told to stop or a child cannot be kept alive."""

    def __init__(self, settings: Settings, plan: Plan) -> None:
        self._settings = settings
        self._plan = plan
        self._watch = Watch()
        self._alive: list[Child] = []
        self._due: dict[Child, float] = {}
        self._budgets: dict[Child, budget.CrashBudget] = {}
        self._failure = ""
        self._asked = 0.0
        self._code = 0
        self._began = time.monotonic()

    def run(self) -> int:
        """Return the exit code: 0 after a request to stop, 2 for wrong use, 1 when a child was given up.

        Raises `NoAdministrator`, `NoValkey`.
        """
        try:
            if self._start():
                self._keep()
        finally:
            self._drain()
        if self._failure:
            self._say(self._failure)
        return self._code

    def _start(self) -> bool:
        """Start everything in order; return whether all of it is ready."""
        if self._settings.embedded_redis:
            self._launch(self._plan.valkey())
            if not self._until(self._all_ready):
                return False
        prepare = self._plan.prepare()
        rest = [self._plan.web(), *self._plan.workers()]
        # All load their code side by side; but an address that others reach is not opened before somebody owns it.
        first = [prepare, *rest] if self._settings.loopback else [prepare]
        for child in first:
            self._launch(child)
        if not self._until(lambda: prepare not in self._alive):
            return False
        told = json.loads(prepare.told or b"{}")
        check_address(self._settings, administrator=bool(told.get("administrator")))
        self._plan.open_gate()
        for child in rest:
            if child not in first:
                self._launch(child)
        if not self._until(self._all_ready):
            return False
        self._greet(told.get("setup_token") or "")
        return True

    def _keep(self) -> None:
        while not self._over():
            self._turn()

    def _greet(self, token: str) -> None:
        seconds = time.monotonic() - self._began
        self._say(f"AutoWeave is ready at {self._settings.url} ({seconds:.1f} s). Ctrl+C stops it.")
        if token:
            self._say(f"Setup: {self._settings.url}/setup?token={token}")

    def _until(self, condition: Callable[[], bool]) -> bool:
        """Go on until the condition holds; return ``False`` when it is over before that."""
        while not self._over():
            if condition():
                return True
            self._turn()
        return False

    def _over(self) -> bool:
        return self._watch.stops > 0 or bool(self._failure)

    def _all_ready(self) -> bool:
        return not self._due and all(child.ready for child in self._alive)

    def _turn(self) -> None:
        now = time.monotonic()
        for child in [child for child, due in self._due.items() if due <= now]:
            del self._due[child]
            self._launch(child)
        starting = any(not child.ready for child in self._alive)
        wake = min([*self._due.values(), now + (_LOOK_S if starting else _IDLE_S)])
        self._watch.wait(wake - now)
        self._look()

    def _launch(self, child: Child) -> None:
        child.start(time.monotonic())
        self._alive.append(child)
        self._watch.add(child)

    def _look(self) -> None:
        for child in list(self._alive):
            code = child.exited()
            if code is not None:
                self._bury(child)
                self._ended(child, code)
            elif not child.ready:
                child.ready = self._is_ready(child)
                self._mind_the_deadline(child)

    def _is_ready(self, child: Child) -> bool:
        if child.name == "valkey":
            return embedded.answers(self._settings.data)
        if child.name == "web":
            return self._is_served()
        return bool(child.told)

    def _is_served(self) -> bool:
        # What a child prints wakes the loop: a page that fails with words would be asked without a pause.
        now = time.monotonic()
        if now - self._asked < _LOOK_S:
            return False
        self._asked = now
        return probe.serves(self._settings)

    def _mind_the_deadline(self, child: Child) -> None:
        if not child.ready and time.monotonic() - child.started > _START_S:
            self._say(f"{child.name} is not ready after {_START_S:.0f} s: it is ended and started again.")
            child.signal_group(signal.SIGKILL)

    def _bury(self, child: Child) -> None:
        self._alive.remove(child)
        self._watch.remove(child)

    def _ended(self, child: Child, code: int) -> None:
        if child.name == "prepare" and code == 0:
            return
        if code == WRONG_USE or child.name == "prepare":
            self._fail("", code)
            return
        delay = self._budgets.setdefault(child, budget.CrashBudget()).spend(time.monotonic())
        if delay is None:
            self._fail(self._obituary(child, code), 1)
            return
        self._say(f"{child.name} {_how(code)}; it starts again in {delay:.1f} s.")
        self._due[child] = time.monotonic() + delay

    def _obituary(self, child: Child, code: int) -> str:
        said = [] if child.output is None else list(child.output.last)
        if child.name == "valkey":
            said.append(embedded.last_words(self._settings.data))
        return "\n".join(
            [
                f"{child.name} {_how(code)}, more than {budget.LIMIT} times in {budget.WINDOW_S:.0f} s. "
                "AutoWeave gives up; nothing stored is lost.",
                *(f"  {line}" for line in said[-5:] if line),
                "Run `autoweave doctor` for what is wrong, then start it again.",
            ]
        )

    def _fail(self, words: str, code: int) -> None:
        self._failure = words or "AutoWeave could not start; the reason is above."
        self._code = code if code > 0 else 1

    def _drain(self) -> None:
        """End web and workers first, then Valkey, which they need to the last. A second request ends all now."""
        patience = self._watch.stops + 1
        valkey = [child for child in self._alive if child.name == "valkey"]
        others = [child for child in self._alive if child not in valkey]
        if others and self._watch.stops:
            self._say("Stopping: what is at work is finished or handed back. Ctrl+C again ends it now.")
        self._end(others, _DRAIN_S, patience)
        self._end(valkey, _VALKEY_DRAIN_S, patience)

    def _end(self, children: Iterable[Child], seconds: float, patience: int) -> None:
        leaving = list(children)
        for child in leaving:
            child.signal(signal.SIGTERM)
        deadline = time.monotonic() + seconds
        while leaving:
            if time.monotonic() > deadline or self._watch.stops >= patience:
                for child in leaving:
                    child.signal_group(signal.SIGKILL)
            self._watch.wait(_LOOK_S)
            for child in [child for child in leaving if child.exited() is not None]:
                leaving.remove(child)
                self._bury(child)

    def _say(self, words: str) -> None:
        if self._settings.log_format == "json":
            words = json.dumps({"event": words, "level": "info", "logger": "supervisor"})
        write_all(1, f"{words}\n".encode())


def _how(code: int) -> str:
    if code >= 0:
        return f"ended with code {code}"
    return f"was ended by {signal.Signals(-code).name}"
