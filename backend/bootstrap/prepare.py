"""What happens once before the roles start: the tables are brought to this version, and the first link is made."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from backend.adapters.database.database import SqlDatabase
from backend.bootstrap.outside import open_live
from backend.bootstrap.settings import Settings
from backend.foundation.audit.service import Audit
from backend.foundation.kernel.errors import Unavailable
from backend.foundation.live.service import Live
from backend.governance.identity.service import Identity

ROOT = Path(__file__).resolve().parents[2]


class SchemaDiffers(Unavailable):
    """The tables are of another version than the program."""

    code = "schema_differs"


class MigrationFailed(Unavailable):
    """The tables could not be changed."""

    code = "migration_failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """Whether somebody can sign in, and the secret of the setup link as long as nobody can."""

    administrator: bool
    setup_token: str


def prepare(settings: Settings) -> Prepared:
    """Migrate, then look for an administrator; each call makes a new link and ends the one before."""
    migrate(settings)
    return asyncio.run(_entrance(settings))


def migrate(settings: Settings) -> str:
    """Bring the tables to this version and return its name; not to be called inside an event loop.

    Raises `MigrationFailed` with what the database said.
    """
    config = _config(settings)
    try:
        command.upgrade(config, "head")
    except (SQLAlchemyError, CommandError, OSError) as error:
        said = str(getattr(error, "orig", None) or error).splitlines()[0]
        raise MigrationFailed(
            f"The database could not be brought to this version: {said}",
            hint="Check AUTOWEAVE_DATABASE_URL and the server; nothing was changed half.",
        ) from error
    return _newest(config)


async def require_current(settings: Settings) -> None:
    """Raise `SchemaDiffers` unless the tables are of this version."""
    wanted = _newest(_config(settings))
    database = SqlDatabase(settings.database_url)
    try:
        async with database.system_read() as session:
            found = await (await session.connection()).run_sync(_revision)
    finally:
        await database.close()
    if found != wanted:
        raise SchemaDiffers(
            f"The tables are of version {found or 'none'}, this program needs {wanted}.",
            hint="Run `autoweave migrate` (or `autoweave run all`, which does it itself).",
        )


async def administrator_exists(settings: Settings) -> bool:
    """Return whether somebody can sign in and administer."""
    database, identity = _identity(settings)
    try:
        return not await identity.setup_needed()
    finally:
        await identity.close()
        await database.close()


async def _entrance(settings: Settings) -> Prepared:
    database, identity = _identity(settings)
    try:
        token = await identity.issue_setup_token()
        return Prepared(administrator=token is None, setup_token=token or "")
    finally:
        await identity.close()
        await database.close()


def _identity(settings: Settings) -> tuple[SqlDatabase, Identity]:
    database = SqlDatabase(settings.database_url)
    return database, Identity(database, Live(open_live(settings)), Audit(database))


def _config(settings: Settings) -> Config:
    config = Config(attributes={"url": settings.database_url})
    config.set_main_option("script_location", str(ROOT / "alembic").replace("%", "%%"))
    return config


def _newest(config: Config) -> str:
    return ScriptDirectory.from_config(config).get_current_head() or ""


def _revision(connection: Connection) -> str:
    return MigrationContext.configure(connection).get_current_revision() or ""
