"""From what was sent and handled to figures: pure arithmetic."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from backend.cli.bench.load import Load, Mode, Sent, Taken


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Milliseconds; all 0 where nothing was timed."""

    p50: float
    p95: float
    p99: float
    max: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Hop:
    """What became of the events at one consumer.

    Attributes:
        handled: different events, the warm-up's too.
        lost: events that the broker confirmed and nobody handled.
        duplicates: how often an event was handled again, with its work committed twice.
        disordered: events that were handled after a later one of their key.
        rate: timed events a second, from when the first was due until the last was done.
        latency_ms: from when an event was due until the transaction of its handler was committed.
        to_handler_ms: from when it was due until its handler was called.
    """

    handled: int
    lost: int
    duplicates: int
    disordered: int
    rate: float
    latency_ms: Spread
    to_handler_ms: Spread

    @property
    def right(self) -> bool:
        """Whether each confirmed event was handled once, in its turn."""
        return not (self.lost or self.duplicates or self.disordered)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """What the database and the broker hold at the end.

    Attributes:
        inbox: events that each consumer has recorded as done.
        outbox_waiting: replies that were never sent.
        dead_letters: events that were given up.
        lag: messages that no consumer has taken.
    """

    inbox: Mapping[str, int]
    outbox_waiting: int
    dead_letters: int
    lag: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """All figures of one load.

    Attributes:
        sent: events that were due and tried.
        failed: those that the broker did not confirm in time.
        success: share of all that were tried that went the whole way, in percent.
        ask: the first hop: publish to handled.
        reply: the second, where there is one: publish to reply handled.
        cpu_us: microseconds of processor time for each timed event, by process.
        rows: what was counted at the end.
        interrupted: whether somebody ended it before its time.
    """

    load: Load
    bus: str
    sent: int
    failed: int
    success: float
    ask: Hop
    reply: Hop | None
    cpu_us: Mapping[str, float]
    rows: Rows
    interrupted: bool

    @property
    def ok(self) -> bool:
        """Whether nothing was lost, doubled, out of order or left, and the rows say the same."""
        hops = {"bench": self.ask} | ({"bench-replies": self.reply} if self.reply else {})
        counted = all(self.rows.inbox.get(name, 0) == hop.handled for name, hop in hops.items())
        left = self.rows.outbox_waiting or self.rows.dead_letters or self.rows.lag
        return all(hop.right for hop in hops.values()) and counted and not left

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {"ok": self.ok} | asdict(self)


def percentile(ordered: Sequence[int], share: float) -> int:
    """Return the smallest value that at least this share of the values does not exceed; of none: 0."""
    return ordered[max(0, math.ceil(len(ordered) * share) - 1)] if ordered else 0


def spread(nanoseconds: Sequence[int]) -> Spread:
    """Return median and tail, in milliseconds."""
    ordered = sorted(nanoseconds)
    p50, p95, p99, most = (round(percentile(ordered, share) / 1e6, 2) for share in (0.5, 0.95, 0.99, 1.0))
    return Spread(p50=p50, p95=p95, p99=p99, max=most)


def judge(load: Load, sent: Sent, taken: Taken) -> Hop:
    """Compare what was handled with what was sent."""
    seen = bytearray(load.total)
    last: dict[int, int] = {}
    duplicates = disordered = end_ns = 0
    late_ns: list[int] = []
    begun_ns: list[int] = []
    for number, begun, done in zip(taken.numbers, taken.begun_ns, taken.done_ns, strict=True):
        if seen[number]:
            duplicates += 1
            continue
        seen[number] = 1
        key = number % load.keys
        if last.get(key, -1) > number:
            disordered += 1
        else:
            last[key] = number
        if number >= load.warm:
            due = sent.start_ns + load.due_ns(number)
            late_ns.append(done - due)
            begun_ns.append(begun - due)
            end_ns = max(end_ns, done)
    took_s = (end_ns - sent.start_ns - load.due_ns(load.warm)) / 1e9
    failed = set(sent.failed)
    return Hop(
        handled=sum(seen),
        lost=sum(1 for number in range(sent.tried) if not seen[number] and number not in failed),
        duplicates=duplicates,
        disordered=disordered,
        rate=round(len(late_ns) / took_s, 1) if late_ns and took_s > 0 else 0.0,
        latency_ms=spread(late_ns),
        to_handler_ms=spread(begun_ns),
    )


def expected_replies(sent: Sent, handled: Taken) -> Sent:
    """Return what the second hop should bring: an answer to each event that was handled, and to no other."""
    unanswered = set(range(sent.tried)).difference(handled.numbers)
    expected = Sent(sent.start_ns, sent.tried)
    expected.failed.extend(sorted(unanswered))
    return expected


def outcome(
    load: Load,
    sent: Sent,
    handled: Taken,
    replied: Taken,
    *,
    bus: str,
    cpu_s: Mapping[str, float],
    rows: Rows,
    interrupted: bool,
) -> Outcome:
    """Put it all together; ``cpu_s`` is what each process spent on the timed events, in seconds."""
    ask = judge(load, sent, handled)
    reply = judge(load, expected_replies(sent, handled), replied) if load.mode is Mode.REPLY else None
    timed = max(1, sent.tried - load.warm)
    return Outcome(
        load=load,
        bus=bus,
        sent=sent.tried,
        failed=len(sent.failed),
        success=round(100 * (reply or ask).handled / max(1, sent.tried), 3),
        ask=ask,
        reply=reply,
        cpu_us={name: round(seconds / timed * 1e6, 1) for name, seconds in cpu_s.items()},
        rows=rows,
        interrupted=interrupted,
    )


def words(found: Outcome) -> str:
    """Return the figures as a table for people."""
    load = found.load
    asked = f"{load.rate:,}/s for {load.seconds:g} s after {load.warm_up_s:g} s, {load.size} bytes, {load.keys} keys"
    lines = [
        f"{found.bus}: {asked}{', interrupted' if found.interrupted else ''}",
        f"sent         {found.sent:,}   not confirmed {found.failed:,}   success {found.success:g} %",
    ]
    for name, hop in (("handled", found.ask), ("replied", found.reply)):
        if hop is not None:
            lines += _lines(name, hop)
    rows = found.rows
    inbox = ", ".join(f"{name} {count:,}" for name, count in rows.inbox.items())
    lines += [
        f"rows         inbox {inbox}   outbox waiting {rows.outbox_waiting:,}   dead letters {rows.dead_letters:,}",
        f"final lag    {rows.lag:,}",
        "CPU µs each  " + "   ".join(f"{name} {value:g}" for name, value in found.cpu_us.items()),
        "all well" if found.ok else "NOT WELL: something was lost, doubled, out of order or left over",
    ]
    return "\n".join(lines)


def _lines(name: str, hop: Hop) -> list[str]:
    faults = f"lost {hop.lost:,}   doubled {hop.duplicates:,}   out of order {hop.disordered:,}"
    return [
        f"{name:<12} {hop.handled:,}   {hop.rate:,.0f}/s   {faults}",
        f"  committed  {_times(hop.latency_ms)}",
        f"  at handler {_times(hop.to_handler_ms)}",
    ]


def _times(times: Spread) -> str:
    return f"p50 {times.p50:g} ms   p95 {times.p95:g} ms   p99 {times.p99:g} ms   max {times.max:g} ms"
