"""`autoweave bench mesh`: how much the bus carries, and whether it keeps its promises meanwhile."""

from typing import Annotated

import typer

from backend.cli.accounts import AsJson
from backend.cli.context import settings_of, show

bench = typer.Typer(no_args_is_help=True, help="Load, and what it does.")


@bench.command("mesh")
def mesh(
    context: typer.Context,
    rate: Annotated[int, typer.Option(help="Events a second; each is due at its time, whatever became of others.")] = (
        1_000
    ),
    duration: Annotated[float, typer.Option(help="Seconds that are timed, after the warm-up.")] = 10.0,
    warm_up: Annotated[float, typer.Option(help="Seconds before that, whose events are judged but not timed.")] = 3.0,
    size: Annotated[int, typer.Option(help="Bytes of each event's data.")] = 1024,
    keys: Annotated[int, typer.Option(help="How many keys take turns.")] = 500,
    mode: Annotated[str, typer.Option(help="handled, or reply: each event is answered by another.")] = "handled",
    broker_pid: Annotated[int, typer.Option(help="The broker's process on this machine, to tell its CPU.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Send events to handlers of its own over the configured bus, and tell how many arrived, how late, at what CPU.

    Exits with 1 when an event was lost, handled twice or out of order, or left over. Ctrl-C ends it with the figures so
    far. It meets no event of an installation on the same broker, and deletes what it made.
    """
    from backend.cli.bench.figures import words
    from backend.cli.bench.load import Load, Mode
    from backend.foundation.kernel.errors import Invalid

    if mode not in set(Mode):
        raise Invalid(f"--mode is {mode!r}.", hint=f"Use {' or '.join(Mode)}.", field="mode")
    load = Load(rate=rate, seconds=duration, warm_up_s=warm_up, size=size, keys=keys, mode=Mode(mode))
    # The rest of the backend, after all that can be refused without it.
    from backend.cli.bench.mesh import run_mesh

    found = run_mesh(settings_of(context), load, broker=broker_pid)
    show(found.as_dict(), as_json=as_json, words=words(found))
    if not found.ok:
        raise typer.Exit(1)
