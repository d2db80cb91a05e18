"""What the pages outside the door know: only what the address says."""

import reflex as rx

from backend.app import current
from backend.foundation.kernel.errors import Unauthenticated
from state.session import caller_of


def local_path(address: str) -> str:
    """Return the address if it is a path of this site, ``/chat`` otherwise: nobody is sent elsewhere by a link."""
    safe = address.startswith("/") and not address.startswith(("//", "/\\")) and not address.startswith("/sign-in")
    return address if safe else "/chat"


FIELDS = ("name", "email", "password", "tenant_name")
WORDS = {
    "sign_in_failed": "The email or the password is not right.",
    "too_many_attempts": "Too many attempts. Wait a few minutes, then try again.",
    "sign_in_busy": "Too many people are signing in at once. Try again in a few seconds.",
    "setup_link_invalid": "This setup link is not valid any more. Use the newest one; a restart prints a new one.",
    "set_up_already": "AutoWeave is set up already. Sign in with the administrator's account.",
    "email_taken": "This email has an account already.",
    "tenant_name_taken": "Another workspace has this name.",
}
"""What the codes of the gateway's answers mean to a person."""
REFUSED = {
    "name": "Enter a name of 1 to 80 characters.",
    "email": "Enter a complete email, such as name@example.org.",
    "password": "Choose another password: at least 12 characters, hard to guess, and not your email.",
    "tenant_name": "Enter a name of 1 to 80 characters.",
}
"""What to do about a field that was refused."""
UNKNOWN = "That did not work. Try again."


class EntranceState(rx.State):
    """The refusal that a form came back with, and what was typed (never a password)."""

    error: str = ""
    field: str = ""
    email: str = ""
    name: str = ""
    tenant_name: str = ""
    token: str = ""
    next: str = "/chat"
    setup_needed: bool = False
    checked: bool = False

    @rx.var
    def problem(self) -> str:
        """What a refused sign-in says at the password."""
        if not self.error:
            return ""
        return WORDS.get(self.error) or REFUSED.get(self.field, UNKNOWN)

    @rx.var
    def problems(self) -> dict[str, str]:
        """What a refused setup says, by field."""
        return {name: self.problem if name == self.field else "" for name in FIELDS}

    @rx.var
    def general_problem(self) -> str:
        """What a refused setup says when no field is to blame."""
        return "" if self.field in FIELDS else self.problem

    @rx.var
    def done(self) -> bool:
        """Setup is over: there is nothing to fill in."""
        return self.checked and not self.setup_needed

    @rx.var
    def no_token(self) -> bool:
        """The link came without its secret part."""
        return self.checked and not self.token

    @rx.event
    async def load(self):
        """Read the address; go on at once where somebody is signed in already."""
        query = self.router.url.query_parameters
        self.error, self.field = query.get("error", ""), query.get("field", "")
        self.email, self.name, self.tenant_name = (query.get(name, "") for name in ("email", "name", "tenant_name"))
        self.token = query.get("token", "")
        self.next = local_path(query.get("next", ""))
        self.setup_needed = await current().identity.setup_needed()
        self.checked = True
        if self.error or self.setup_needed:
            return None
        try:
            await caller_of(self)
        except Unauthenticated:
            return None
        return rx.redirect(self.next)
