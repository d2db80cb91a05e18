"""`autoweave migrate` and `doctor`: the installation itself."""

import asyncio
from dataclasses import asdict

import typer

from backend.cli.accounts import AsJson
from backend.cli.context import settings_of, show


def migrate(context: typer.Context) -> None:
    """Bring the tables of the database to this version."""
    from backend.bootstrap.prepare import migrate as bring

    print(f"The database is at version {bring(settings_of(context))}.")


def doctor(context: typer.Context, as_json: AsJson = False) -> None:
    """Say of each dependency whether it works, and what to do when it does not."""
    from backend.bootstrap.doctor import examine

    found = asyncio.run(examine(settings_of(context)))
    lines = [f"{'ok    ' if each.ok else 'FAILED'} {each.name:<10} {each.cause}" for each in found]
    fixes = [f"  {each.name}: {each.fix}" for each in found if not each.ok]
    words = "\n".join([*lines, *(["What to do:", *fixes] if fixes else [])])
    show([asdict(each) for each in found], as_json=as_json, words=words)
    if not all(each.ok for each in found):
        raise typer.Exit(1)
