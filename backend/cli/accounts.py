"""`autoweave admin`, `tenant` and `key`: who may enter."""

from dataclasses import asdict
from typing import Annotated

import typer

from backend.cli.context import read_password, show, with_backend

admin = typer.Typer(no_args_is_help=True, help="Administrators.")
tenant = typer.Typer(no_args_is_help=True, help="Tenants: nothing of one is seen from another.")
key = typer.Typer(no_args_is_help=True, help="API keys for programs.")

PasswordStdin = Annotated[bool, typer.Option("--password-stdin", help="Read the password from stdin.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@admin.command("create")
def create_admin(
    context: typer.Context,
    email: Annotated[str, typer.Option(help="The address to sign in with.")],
    name: Annotated[str, typer.Option(help="The person's name.")] = "",
    tenant: Annotated[str | None, typer.Option(help="Tenant by name; the first one by default.")] = None,
    password_stdin: PasswordStdin = False,
) -> None:
    """Add an administrator; the first tenant is made when there is none."""
    password = read_password(from_stdin=password_stdin)
    with_backend(context, lambda b: b.identity.create_admin(email, password, name=name, tenant_name=tenant))
    print(f"{email} is an administrator now. Sign in at /sign-in.")


@tenant.command("create")
def create_tenant(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Its name, unique in this installation.")],
    admin_email: Annotated[str, typer.Option(help="The address of its administrator.")],
    password_stdin: PasswordStdin = False,
) -> None:
    """Make a tenant and its administrator."""
    password = read_password(from_stdin=password_stdin)
    made = with_backend(context, lambda b: b.identity.create_tenant(name, admin_email, password))
    print(f"Tenant {name} ({made}) is there; {admin_email} is its administrator.")


@key.command("create")
def create_key(
    context: typer.Context,
    name: Annotated[str, typer.Option(help="What the key is for.")],
    scopes: Annotated[str, typer.Option(help="Permissions with commas between, such as agents:read,agents:run.")],
    tenant: Annotated[str | None, typer.Option(help="Tenant by name; needed where there are several.")] = None,
    expires_days: Annotated[int | None, typer.Option(help="Days until it ends; never by default.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make an API key and print it, this once."""
    wanted = [scope.strip() for scope in scopes.split(",") if scope.strip()]
    made = with_backend(context, lambda b: b.identity.create_key_for(tenant, name, wanted, expires_days))
    show({"key": made.secret, **asdict(made.view)}, as_json=as_json, words=made.secret)
