"""`autoweave spec`: what events there are, as a document, and whether a new document breaks who uses the old one."""

from typing import Annotated, Any

import msgspec
import typer

from backend.app import Backend
from backend.cli.accounts import AsJson
from backend.cli.agents import TenantName, caller_in
from backend.cli.context import with_backend

spec = typer.Typer(no_args_is_help=True, help="The events as AsyncAPI documents.")


@spec.command("asyncapi")
def asyncapi(
    context: typer.Context,
    agent: Annotated[str | None, typer.Option(help="Only what this agent (id or slug) receives and sends.")] = None,
    tenant: TenantName = None,
    as_json: AsJson = False,
) -> None:
    """Print the AsyncAPI 3 document of every event, as YAML."""
    from backend.reads.asyncapi import document

    async def of_agent(backend: Backend) -> dict[str, Any]:
        return document(await backend.agents.get(await caller_in(backend, tenant), agent or ""))

    described = document() if agent is None else with_backend(context, of_agent)
    text = msgspec.json.format(msgspec.json.encode(described)) if as_json else msgspec.yaml.encode(described)
    print(text.decode().rstrip())
