"""`autoweave spec`: what events there are, as a document, and whether a new document breaks who uses the old one."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from backend.app import Backend
from backend.cli.accounts import AsJson
from backend.cli.agents import TenantName, caller_in
from backend.cli.context import show, with_backend
from backend.cli.report import FAILED
from backend.foundation.kernel.errors import Invalid

if TYPE_CHECKING:
    from backend.foundation.events.rules.changes import Change

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


@spec.command("check")
def check(
    old: Annotated[Path, typer.Argument(help="The AsyncAPI document that is in use; YAML or JSON.")],
    new: Annotated[Path, typer.Argument(help="The one that is to replace it.")],
    as_json: AsJson = False,
) -> None:
    """Say of each change from OLD to NEW whether it breaks who uses OLD; exit code 1 when one does."""
    from backend.foundation.events.rules.changes import compare

    found = compare(_read(old), _read(new))
    broken = sum(one.breaking for one in found)
    lines = [line for one in found for line in _lines(one)]
    words = f"{broken} breaking, {len(found) - broken} compatible." if found else "Nothing has changed for anybody."
    told = {"compatible": not broken, "changes": [asdict(one) for one in found]}
    show(told, as_json=as_json, words="\n".join([*lines, words]))
    if broken:
        raise typer.Exit(FAILED)


def _lines(one: "Change") -> list[str]:
    if not one.breaking:
        return [f"compatible  {one.place}: {one.change}"]
    return [f"BREAKING    {one.place}: {one.change}", f"            Cause: {one.cause}", f"            Fix: {one.fix}"]


def _read(file: Path) -> object:
    try:
        # JSON is YAML, but its own parser is faster and takes the tabs that YAML refuses.
        text = file.read_bytes()
        return msgspec.json.decode(text) if text.lstrip()[:1] == b"{" else msgspec.yaml.decode(text)
    except OSError as error:
        raise Invalid(f"{file} cannot be read: {error.strerror}.", hint="Check the path.") from error
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Invalid(f"{file} is neither YAML nor JSON: {error}", hint="Correct it, or give another file.") from error
