"""`autoweave spec`: what events there are, as a document, and whether a new document breaks who uses the old one."""

from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from backend.app import Backend
from backend.cli.accounts import AsJson
from backend.cli.agents import TenantName, caller_in
from backend.cli.context import settings_of, show, with_backend
from backend.cli.report import FAILED, WRONG_USE
from backend.foundation.kernel.errors import Invalid

if TYPE_CHECKING:
    from backend.cli.kit.mesh import Mesh
    from backend.cli.kit.writing import Outcome
    from backend.foundation.bus.rules import TopicPlan
    from backend.foundation.events.rules.changes import Change

spec = typer.Typer(no_args_is_help=True, help="The events as AsyncAPI documents, and meshes made from a written spec.")

SpecFile = Annotated[Path, typer.Option("--input", help="The spec: Markdown with front matter, or YAML.")]


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
        found = await backend.agents.get(await caller_in(backend, tenant), agent or "")
        return document(found, plan=backend.bus.plan)

    described = document(plan=_planned(context)) if agent is None else with_backend(context, of_agent)
    text = msgspec.json.format(msgspec.json.encode(described)) if as_json else msgspec.yaml.encode(described)
    print(text.decode().rstrip())


@spec.command("check")
def check(
    old: Annotated[Path, typer.Argument(help="The AsyncAPI document that is in use; YAML or JSON.")],
    new: Annotated[Path, typer.Argument(help="The one that is to replace it.")],
    as_json: AsJson = False,
) -> None:
    """Say of each change from OLD to NEW whether it breaks who uses OLD; exit code 1 when one does."""
    from backend.cli.kit.given import document as read
    from backend.foundation.events.rules.changes import compare

    found = compare(read(old), read(new))
    broken = sum(one.breaking for one in found)
    lines = [line for one in found for line in _lines(one)]
    words = f"{broken} breaking, {len(found) - broken} compatible." if found else "Nothing has changed for anybody."
    told = {"compatible": not broken, "changes": [asdict(one) for one in found]}
    show(told, as_json=as_json, words="\n".join([*lines, words]))
    if broken:
        raise typer.Exit(FAILED)


@spec.command("init")
def init(
    output: Annotated[Path, typer.Option(help="The file to write; one that is there is left alone.")] = Path("mesh.md"),
) -> None:
    """Write a commented spec to begin with: a mesh that takes orders."""
    from backend.cli.kit.project import sample

    try:
        with output.open("x", encoding="utf-8") as file:
            file.write(sample())
    except FileExistsError as error:
        raise Invalid(f"{output} is there already.", hint="Name another file with --output.") from error
    except (OSError, ValueError) as error:
        raise Invalid(f"{output} cannot be written: {error}.", hint="Check the path.") from error
    print(f"{output} is written. Next: autoweave spec generate --input {output} --output my-mesh")


@spec.command("validate")
def validate(file: SpecFile, as_json: AsJson = False) -> None:
    """Say what is wrong with a spec: line, cause and fix of each error; exit code 2 when there are any."""
    from backend.cli.kit.checking import load
    from backend.cli.kit.given import given
    from backend.cli.kit.reading import MOST_BYTES

    mesh, findings = load(given(file, MOST_BYTES + 1))
    lines = [f"{file}:{one.line}: {one.cause}\n    Fix: {one.fix}" for one in findings]
    good = "" if mesh is None else f"{file} is good: {_summary(mesh)}."
    show({"valid": mesh is not None, "findings": [asdict(one) for one in findings]}, as_json=as_json,
         words="\n".join(lines) or good)  # fmt: skip
    if mesh is None:
        raise typer.Exit(WRONG_USE)


@spec.command("generate")
def generate(
    file: SpecFile,
    output: Annotated[Path, typer.Option(help="The folder of the project; made when it is not there.")],
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit code 1 when something would change.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make a project that runs from a spec, or bring it up to date: what people wrote in it stays."""
    from backend.cli.kit.checking import load
    from backend.cli.kit.given import given
    from backend.cli.kit.project import needed_functions, project, proto_path
    from backend.cli.kit.reading import MOST_BYTES
    from backend.cli.kit.writing import text_in, write

    mesh, findings = load(given(file, MOST_BYTES + 1))
    if mesh is None:
        told = "\n".join(f"  line {one.line}: {one.cause} {one.fix}" for one in findings)
        raise Invalid(f"{file} is no good spec.\n{told}", hint="Correct it; `autoweave spec validate` checks it.")
    files = project(mesh, written_proto=text_in(output, proto_path(mesh)))
    outcome = write(files, output, dry=check)
    missing = [f"{path}: {name}" for path, names in needed_functions(mesh).items() if (text := text_in(output, path))
               for name in names if f"def {name}(" not in text]  # fmt: skip
    words = [*_told(outcome, output, dry=check), *(f"Yours to add in {one}" for one in missing)]
    show({**asdict(outcome), "missing": missing}, as_json=as_json, words="\n".join(words))
    if outcome.kept or (check and outcome.changes):
        raise typer.Exit(FAILED)


def _told(outcome: "Outcome", output: Path, *, dry: bool) -> list[str]:
    verb = "would be " if dry else ""
    lines = [f"{verb}{done:<8} {path}" for done, paths in (("written", outcome.written), ("removed", outcome.removed))
             for path in paths]  # fmt: skip
    beside = "would be" if dry else "is"
    lines += [f"kept     {path}: you changed it; the new version {beside} {path}.new" for path in outcome.kept]
    lines += [
        f"left     {path}: not generated any more, and yours: remove it when you are done" for path in outcome.left
    ]
    if outcome.kept:
        lines.append("Take over what you want from each .new file, or delete your version, and generate again.")
    elif not outcome.changes:
        lines.append("Everything is as the spec says.")
    elif not dry:
        lines.append(f"Next: cd {output} && make up")
    return lines


def _summary(mesh: "Mesh") -> str:
    return f"{len(mesh.agents)} agents, {len(mesh.topics)} topics, {len(mesh.schemas)} schemas"


def _lines(one: "Change") -> list[str]:
    if not one.breaking:
        return [f"compatible  {one.place}: {one.change}"]
    return [f"BREAKING    {one.place}: {one.change}", f"            Cause: {one.cause}", f"            Fix: {one.fix}"]


def _planned(context: typer.Context) -> "Callable[[str], TopicPlan]":
    from backend.foundation.bus.rules import plan_of

    settings = settings_of(context)
    return partial(plan_of, partitions=settings.bus_partitions, retention_ms=settings.bus_retention * 3_600_000)
