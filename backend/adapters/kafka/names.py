"""Topic and group names: the product's own, and the broker's, which carry the namespace."""

import re

from backend.foundation.kernel.errors import Invalid

_LEGAL = re.compile(r"[A-Za-z0-9._-]{1,249}")


def is_legal(name: str) -> bool:
    """Whether Kafka takes it for a name."""
    return _LEGAL.fullmatch(name) is not None


class Names:
    """Prefixes names with a namespace, so that several installations share a broker.

    Args:
        namespace: what goes before each topic and group, as it stands (such as ``prod.``); may be empty.
    """

    def __init__(self, namespace: str) -> None:
        if namespace and not _LEGAL.fullmatch(namespace):
            raise Invalid(f"The bus namespace {namespace!r} holds a character that Kafka forbids.")
        self._namespace = namespace

    def native(self, name: str) -> str:
        """Return the broker's name for a topic or group of ours; raise `Invalid` for one that Kafka refuses."""
        native = self._namespace + name
        if not name or not _LEGAL.fullmatch(native):
            raise Invalid(f"{name!r} is no name for a topic.", hint="Use letters, digits, dots, dashes, underscores.")
        return native

    def own(self, native: str) -> str | None:
        """Return our name for a topic of the broker, ``None`` when it belongs to somebody else."""
        if native.startswith("__") or not native.startswith(self._namespace):
            return None
        return native.removeprefix(self._namespace)
