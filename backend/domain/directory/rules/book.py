"""Which cards are believed: pure, so that any program that reads the bus could decide the same.

A card is refused, by this reason:

too_long      it has more than 64 KiB
malformed     it is no card, or not the event's own
unsigned      it bears no signature, or too many
unknown_key   none of its signatures names the tenant's key
bad_signature that key did not sign it
misplaced     it was signed for another tenant, agent or place in the sequence
replayed      a later one is known, or a withdrawal
expired       its time is over
too_many      so many agents are known already
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from backend.domain.directory.rules.cards import MOST_BYTES, Mesh, mesh_of, unsigned, withdrawal
from backend.domain.directory.rules.keys import TenantKey
from backend.foundation.events.types import CardAnnounced, CardWithdrawn

MOST_AGENTS = 10_000
_MOST_SIGNATURES = 4
_LONGEST_PROOF = 4_000


class Refused(Exception):
    """A card that is not believed, and why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A card that is believed."""

    agent: str
    sequence: int
    kid: str
    card: dict[str, Any]
    mesh: Mesh


@dataclass(frozen=True, slots=True, kw_only=True)
class Without:
    """An agent whose card was withdrawn, or is ``refused``, and from when on."""

    agent: str
    sequence: int
    refused: bool = False


class _Signature(msgspec.Struct):
    protected: str
    signature: str


class Book:
    """The cards of one tenant, each the latest that was heard.

    Args:
        tenant: whose cards are believed here.
        key: the one key that is believed.
    """

    def __init__(self, tenant: str, key: TenantKey) -> None:
        self._tenant = tenant
        self._key = key
        self._known: dict[str, Known | Without] = {}

    def announced(self, data: CardAnnounced, *, now_ms: int) -> bool:
        """Take a card; return whether it is news. Raises `Refused`."""
        if len(data.card) > MOST_BYTES or len(data.card.encode("utf-8", "replace")) > MOST_BYTES:
            raise Refused("too_long")
        card = _read(data.card)
        self._check_signature(card)
        mesh = self._check_place(card, data)
        if not self._is_later(data.agent, data.sequence):
            return False
        if data.sequence + data.valid_s * 1_000 < now_ms:
            raise Refused("expired")
        self._keep(Known(agent=data.agent, sequence=data.sequence, kid=self._key.kid, card=card, mesh=mesh))
        return True

    def withdrawn(self, data: CardWithdrawn) -> bool:
        """Take a withdrawal; return whether it is news. Raises `Refused`."""
        protected, _, rest = data.proof.partition(".")
        _, _, signature = rest.rpartition(".")
        if len(data.proof) > _LONGEST_PROOF:
            raise Refused("too_long")
        if not self._key.knows(protected):
            raise Refused("unknown_key")
        if not self._key.verifies(protected, signature, withdrawal(self._tenant, data.agent, data.sequence)):
            raise Refused("bad_signature")
        if not self._is_later(data.agent, data.sequence):
            return False
        self._keep(Without(agent=data.agent, sequence=data.sequence))
        return True

    def without_card(self, agent: str, sequence: int, *, refused: bool = False) -> None:
        """Remember that an agent has no card (any more), or none that is believed, and from when on."""
        self._keep(Without(agent=agent, sequence=sequence, refused=refused))

    def forget(self, agent: str) -> None:
        """Know nothing of an agent any more."""
        self._known.pop(agent, None)

    def sequence(self, agent: str) -> int:
        """Return the sequence of what is known of an agent, 0 for nothing."""
        known = self._known.get(agent)
        return known.sequence if known else 0

    @property
    def refused(self) -> int:
        """How many agents have a card that is not believed."""
        return sum(isinstance(known, Without) and known.refused for known in self._known.values())

    def agents(self) -> set[str]:
        """Return the agents of which anything is known."""
        return set(self._known)

    def cards(self, *, now_ms: int) -> Iterator[Known]:
        """Yield what is believed now: no withdrawn card, and none whose time is over."""
        for known in self._known.values():
            if isinstance(known, Known) and known.sequence + known.mesh.valid_seconds * 1_000 >= now_ms:
                yield known

    def _check_signature(self, card: dict[str, Any]) -> None:
        try:
            signatures = msgspec.convert(card.get("signatures", []), list[_Signature])
        except msgspec.ValidationError as error:
            raise Refused("unsigned") from error
        if not 1 <= len(signatures) <= _MOST_SIGNATURES:
            raise Refused("unsigned")
        ours = [one for one in signatures if self._key.knows(one.protected)]
        if not ours:
            raise Refused("unknown_key")
        content = unsigned(card)
        if not any(self._key.verifies(one.protected, one.signature, content) for one in ours):
            raise Refused("bad_signature")

    def _check_place(self, card: dict[str, Any], data: CardAnnounced) -> Mesh:
        try:
            mesh = mesh_of(card)
        except ValueError as error:
            raise Refused("malformed") from error
        told = (self._tenant, data.agent, data.sequence, data.valid_s)
        if (mesh.tenant, mesh.agent, mesh.sequence, mesh.valid_seconds) != told:
            raise Refused("misplaced")
        return mesh

    def _is_later(self, agent: str, sequence: int) -> bool:
        """Return false for what is known already, as comes again; raise `Refused` for what is older."""
        known = self.sequence(agent)
        if sequence < known:
            raise Refused("replayed")
        return sequence > known

    def _keep(self, known: Known | Without) -> None:
        if known.agent not in self._known and len(self._known) >= MOST_AGENTS:
            raise Refused("too_many")
        self._known[known.agent] = known


def _read(text: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise Refused("malformed") from error
