"""The last node: what the run answers."""

from collections.abc import Mapping
from typing import Any

from backend.domain.flows.ports import NodeContext


class OutputNode:
    """Comes in: ``{"text": …}`` or a text. Goes out: the text."""

    type = "output"
    version = 1

    async def run(self, context: NodeContext, config: Mapping[str, Any], value: Any) -> Any:
        return value if isinstance(value, str) else str(value["text"])
