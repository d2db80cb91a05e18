"""`autoweave bus`: the topics of the event bus, and how they are made as the settings want them."""

from dataclasses import asdict
from typing import Annotated

import typer

from backend.app import Backend
from backend.cli.accounts import AsJson
from backend.cli.context import show, with_backend
from backend.cli.report import FAILED
from backend.foundation.bus.ports import TopicInfo
from backend.foundation.bus.views import TopicChange, TopicDifference

bus = typer.Typer(no_args_is_help=True, help="The topics of the event bus.")

Raise = Annotated[
    bool, typer.Option("--partitions", help="Raise partitions too, of topics of which no event waits: keys move.")
]


@bus.command("topics")
def topics(context: typer.Context, as_json: AsJson = False) -> None:
    """List the topics with their partitions, how long they keep events, and what is not as the settings want it."""
    from backend.foundation.bus.rules import OWN_TOPICS, kept

    async def look(backend: Backend) -> tuple[list[TopicInfo], list[TopicDifference]]:
        return await backend.bus.topics(), await backend.bus.differences()

    found, differing = with_backend(context, look)
    own = [info for info in found if info.name in OWN_TOPICS]
    lines = [f"{info.name:<20} {info.partitions:>4} partitions  {info.end:>12,} written  {kept(info)}" for info in own]
    told = {
        "topics": [{**asdict(info), "settings": dict(info.settings)} for info in own],
        "differences": [_plain(each) for each in differing],
    }
    lines = lines or ["There are no topics yet: the first worker that starts makes them."]
    show(told, as_json=as_json, words="\n".join([*lines, *_wishes(differing)]))


@bus.command("apply")
def apply(context: typer.Context, partitions: Raise = False, as_json: AsJson = False) -> None:
    """Make the topics as the settings want them; exit code 1 when something stays as it is, with the reason."""

    async def work(backend: Backend) -> list[TopicChange]:
        return await backend.bus.apply(partitions=partitions)

    done = with_backend(context, work)
    told = [{**_plain(one.difference), "problem": one.problem, "hint": one.hint} for one in done]
    words = "\n".join(line for one in done for line in _lines(one)) or "Every topic is as the settings want it."
    show(told, as_json=as_json, words=words)
    if any(one.problem for one in done):
        raise typer.Exit(FAILED)


def _wishes(differing: list[TopicDifference]) -> list[str]:
    if not differing:
        return ["Every topic is as the settings want it."]
    return ["Not as the settings want it:", *(f"  {each.words}  `{each.command}`" for each in differing)]


def _lines(one: TopicChange) -> list[str]:
    found = one.difference
    if not one.problem:
        return [f"changed  {found.topic}: {found.setting} from {found.has or 'nothing'} to {found.wanted}"]
    return [f"left     {found.words}", f"         {one.problem}", f"         {one.hint}"]


def _plain(found: TopicDifference) -> dict[str, str]:
    return {**asdict(found), "command": found.command}
