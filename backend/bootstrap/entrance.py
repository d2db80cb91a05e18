"""Who may reach AutoWeave before somebody owns it. Standard library only."""

from backend.bootstrap.settings import Settings
from backend.foundation.kernel.errors import Invalid


class NoAdministrator(Invalid):
    """Others could reach the setup page before its owner does."""

    code = "no_administrator"


def check_address(settings: Settings, *, administrator: bool) -> None:
    """Raise `NoAdministrator` where other machines could reach a setup that is not done yet."""
    if administrator or settings.loopback:
        return
    raise NoAdministrator(
        f"AutoWeave does not listen on {settings.host} as long as it has no administrator: "
        "whoever came first could take it over.",
        hint="Run `autoweave admin create --email you@example.org --password-stdin`, or start it on 127.0.0.1 and open "
        "the setup link; then start it again.",
    )
