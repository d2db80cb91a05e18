"""How often somebody may try to sign in."""

from backend.foundation.kernel.ports import Database
from backend.governance.identity.errors import TooManyAttempts
from backend.governance.identity.repository import attempts
from backend.governance.identity.rules import ATTEMPT_WINDOW_MS, attempt_subjects, wait_ms


class SignInLimit:
    """A moving window of 15 minutes for each e-mail and each address, in rows: it holds over replicas and restarts.

    An attempt is counted before the password is checked, so that many at once cannot slip through together.
    """

    def __init__(self, db: Database) -> None:
        self._db = db

    async def admit(self, email: str, address: str) -> int:
        """Count one attempt and return its time; raise `TooManyAttempts` with the wait when there were too many."""
        now = 0
        async with self._db.system_write() as session:
            # Always in this order, so that two sign-ins never wait for each other's row.
            for subject, limit in sorted(attempt_subjects(email, address).items()):
                times, read_ms = await attempts.lock_attempts(session, subject)
                now = now or read_ms
                wait = wait_ms(times, limit, now)
                if wait:
                    raise TooManyAttempts("Too many sign-ins were tried.", retry_after=wait / 1000, hint=_hint(wait))
                recent = [time for time in times if time > now - ATTEMPT_WINDOW_MS]
                await attempts.store_attempts(session, subject, [*recent, now])
        return now

    async def forgive(self, email: str, address: str, at_ms: int) -> None:
        """Forget what the e-mail tried, and of the address this attempt: the password was right."""
        async with self._db.system_write() as session:
            for subject in sorted(attempt_subjects(email, address)):
                times, _ = await attempts.lock_attempts(session, subject)
                left = [] if subject.startswith("email:") else _without(times, at_ms)
                await attempts.store_attempts(session, subject, left)


def _without(times: list[int], at_ms: int) -> list[int]:
    at = times.index(at_ms) if at_ms in times else len(times)
    return times[:at] + times[at + 1 :]


def _hint(wait: int) -> str:
    minutes = -(-wait // 60_000)
    return f"Try again in {minutes} minute{'s' if minutes > 1 else ''}."
