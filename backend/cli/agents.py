"""`autoweave agent`: what agents there are, and whether they run and are shown."""

from dataclasses import asdict
from typing import Annotated

import typer

from backend.app import Backend
from backend.cli.accounts import AsJson
from backend.cli.context import show, with_backend
from backend.domain.agents.views import AgentView
from backend.foundation.kernel.caller import Caller, system_caller

agent = typer.Typer(no_args_is_help=True, help="Agents.")

TenantName = Annotated[str | None, typer.Option("--tenant", help="Tenant by name; needed where there are several.")]


@agent.command("list")
def list_agents(context: typer.Context, tenant: TenantName = None, as_json: AsJson = False) -> None:
    """List the agents of a tenant."""

    async def work(backend: Backend) -> list[AgentView]:
        return await backend.agents.list(await caller_in(backend, tenant))

    found = with_backend(context, work)
    lines = [f"{view.slug:<24} {view.status:<9} {view.model:<28} {view.name}" for view in found]
    show([asdict(view) for view in found], as_json=as_json, words="\n".join(lines) or "There are no agents.")


@agent.command("show")
def show_agent(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Its id or slug.")],
    tenant: TenantName = None,
    as_json: AsJson = False,
) -> None:
    """Show one agent."""

    async def work(backend: Backend) -> AgentView:
        return await backend.agents.get(await caller_in(backend, tenant), name)

    facts = asdict(with_backend(context, work))
    show(facts, as_json=as_json, words="\n".join(f"{fact:<12} {_text(value)}" for fact, value in facts.items()))


AgentName = Annotated[str, typer.Argument(help="Its id or slug.")]


@agent.command("start")
def start_agent(context: typer.Context, name: AgentName, tenant: TenantName = None) -> None:
    """Let an agent run again."""

    async def work(backend: Backend) -> None:
        await backend.agents.start(await caller_in(backend, tenant), name)

    with_backend(context, work)
    show({}, as_json=False, words=f"{name} runs.")


@agent.command("stop")
def stop_agent(context: typer.Context, name: AgentName, tenant: TenantName = None) -> None:
    """Let an agent take no new runs."""

    async def work(backend: Backend) -> None:
        await backend.agents.stop(await caller_in(backend, tenant), name)

    with_backend(context, work)
    show({}, as_json=False, words=f"{name} is stopped; runs at work go on to their end.")


@agent.command("publish")
def publish_agent(context: typer.Context, name: AgentName, tenant: TenantName = None) -> None:
    """Show an agent's card to anybody who asks."""

    async def work(backend: Backend) -> None:
        await backend.agents.publish(await caller_in(backend, tenant), name)

    with_backend(context, work)
    show({}, as_json=False, words=f"Anybody may read the card of {name}; to run it takes a key as before.")


@agent.command("unpublish")
def unpublish_agent(context: typer.Context, name: AgentName, tenant: TenantName = None) -> None:
    """Show an agent's card to its tenant alone."""

    async def work(backend: Backend) -> None:
        await backend.agents.unpublish(await caller_in(backend, tenant), name)

    with_backend(context, work)
    show({}, as_json=False, words=f"The card of {name} is its tenant's own.")


@agent.command("terminate")
def terminate_agent(
    context: typer.Context,
    name: AgentName,
    tenant: TenantName = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Stop an agent for good and withdraw its card; its chats and runs stay."""
    if not yes:
        typer.confirm(f"Terminate {name} for good?", abort=True)

    async def work(backend: Backend) -> None:
        await backend.agents.terminate(await caller_in(backend, tenant), name)

    with_backend(context, work)
    show({}, as_json=False, words=f"{name} is terminated.")


async def caller_in(backend: Backend, tenant: str | None) -> Caller:
    """Return the command line's caller in a tenant; the only one when there is no name."""
    return system_caller(await backend.identity.tenant_named(tenant), "cli")


def _text(value: object) -> str:
    if isinstance(value, tuple):
        items: tuple[object, ...] = value  # pyright: ignore[reportUnknownVariableType]
        return ", ".join(str(item) for item in items)
    return str(value)
