"""`autoweave top`: what flows, who is behind, and what needs attention, on a terminal."""

import asyncio
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from backend.bootstrap.settings import Settings
from backend.cli.accounts import AsJson
from backend.cli.agents import TenantName, caller_in
from backend.cli.context import settings_of, show
from backend.cli.report import FAILED
from backend.foundation.kernel.errors import AutoWeaveError, Invalid

if TYPE_CHECKING:
    from backend.app import Backend
    from backend.cli.top.lookout import Lookout, Snapshot

_NOWHERE = Path("/dev/null")
_BETWEEN_S = 1.0
_SHORTEST_S, _LONGEST_S = 0.2, 3_600


def top(
    context: typer.Context,
    tenant: TenantName = None,
    every: Annotated[float, typer.Option(help="Seconds between two looks.")] = 2.0,
    once: Annotated[bool, typer.Option("--once", help="Print one look as text, and end.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show topics, consumers, agents, dead letters and health, live, with keys; `?` lists them.

    `--once` and `--json` print one look instead, which takes a second, since rates need two; exit code 1 when a part of
    it could not be read.
    """
    if not _SHORTEST_S <= every <= _LONGEST_S:
        raise Invalid(f"--every is {every}.", hint=f"Use {_SHORTEST_S} to {_LONGEST_S:,} seconds.", field="every")
    settings = settings_of(context)
    if once or as_json:
        snapshot = asyncio.run(_look_once(settings, tenant))
        show(_facts(snapshot), as_json=as_json, words=_words(snapshot))
        if snapshot.troubles:
            raise typer.Exit(FAILED)
        return
    if not all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr)):
        raise Invalid("There is no terminal to draw on.", hint="Use --once or --json for one look.")
    with _NOWHERE.open("w") as nowhere:
        error = asyncio.run(_live(settings, tenant, every, nowhere))
    if error is not None:
        raise error


async def _live(settings: Settings, tenant: str | None, every_s: float, nowhere: TextIO) -> AutoWeaveError | None:
    from backend.bootstrap.wiring import open_backend
    from backend.cli.top.screen import Top
    from backend.foundation.telemetry.logs import configure_logs

    # A line of a library would stand across the screen; what is wrong is told there.
    configure_logs(format="plain", service="cli", level="critical", stream=nowhere)
    async with open_backend(settings, roles=()) as backend:
        return await Top(lambda: _connected(settings, backend, tenant), every_s=every_s).run_async(mouse=False)


async def _look_once(settings: Settings, tenant: str | None) -> "Snapshot":
    from backend.bootstrap.wiring import open_backend
    from backend.foundation.telemetry.logs import configure_logs

    configure_logs(format=settings.log_format, service="cli", level="critical")
    async with open_backend(settings, roles=()) as backend:
        lookout = await _connected(settings, backend, tenant)
        await lookout.look()
        await asyncio.sleep(_BETWEEN_S)
        return await lookout.look()


async def _connected(settings: Settings, backend: "Backend", tenant: str | None) -> "Lookout":
    from backend.bootstrap.prepare import require_current
    from backend.cli.top.lookout import Lookout

    await require_current(settings)
    return Lookout(backend, await caller_in(backend, tenant))


def _facts(snapshot: "Snapshot") -> dict[str, object]:
    """Return the look for programs: the letters are counted, not listed."""
    facts = asdict(snapshot)
    facts["dead_letters_waiting"] = facts.pop("waiting_letters")
    facts.pop("letters")
    return facts


def _words(snapshot: "Snapshot") -> str:
    from backend.cli.top.lists import LISTINGS, widths

    blocks: list[str] = []
    for listing in LISTINGS:
        rows = listing.rows(snapshot)
        sizes = widths(listing.columns, 120)
        lines = [
            "  ".join(
                text[:size].rjust(size) if column.right else text[:size].ljust(size)
                for text, column, size in zip(texts, listing.columns, sizes, strict=True)
            ).rstrip()
            for texts in ([column.title for column in listing.columns], *([c.text for c in row.cells] for row in rows))
        ]
        blocks.append("\n".join([listing.title.upper(), *(lines if rows else [listing.empty])]))
    blocks += [f"NOT READ: {trouble.message} {trouble.hint}" for trouble in snapshot.troubles]
    return "\n\n".join(blocks)
