"""The command `autoweave` for people; `autoweave run …` is in `backend.cli.run`."""

from typing import Annotated

import typer

from backend.cli import accounts, agents, bus, spec, system
from backend.cli.bench.command import bench
from backend.cli.context import DATA_HELP, Given
from backend.cli.report import report
from backend.cli.run import main as run_role
from backend.cli.top.command import top
from backend.foundation.kernel.errors import AutoWeaveError

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    help="Build, run and operate AI agents. Settings come from autoweave.toml, the environment and these flags.",
)
app.add_typer(accounts.admin, name="admin")
app.add_typer(accounts.tenant, name="tenant")
app.add_typer(accounts.key, name="key")
app.add_typer(agents.agent, name="agent")
app.add_typer(spec.spec, name="spec")
app.add_typer(bench, name="bench")
app.add_typer(bus.bus, name="bus")
app.command()(system.migrate)
app.command()(system.doctor)
app.command()(top)


@app.callback()
def settings(
    context: typer.Context,
    data: Annotated[str | None, typer.Option(help=DATA_HELP)] = None,
    database_url: Annotated[str | None, typer.Option(help="PostgreSQL by URL.")] = None,
    redis_url: Annotated[str | None, typer.Option(help="Redis or Valkey by URL.")] = None,
    bus_url: Annotated[str | None, typer.Option(help="Kafka by URL.")] = None,
) -> None:
    """Take the settings that every command shares."""
    flags = {"data": data, "database_url": database_url, "redis_url": redis_url, "bus_url": bus_url}
    context.obj = Given(flags)


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []},
    add_help_option=False,
)
def run(context: typer.Context) -> None:
    """Start AutoWeave: `run all`, or one role by `run web`, `run worker`. More by `autoweave run --help`."""
    raise typer.Exit(run_role(context.args))


def main(arguments: list[str]) -> int:
    """Run one command; return the exit code."""
    try:
        app(args=arguments, prog_name="autoweave")
    except AutoWeaveError as error:
        return report(error)
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 0
    return 0
