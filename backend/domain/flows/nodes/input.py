"""The first node: takes what the run was started with."""

from collections.abc import Mapping
from typing import Any

from backend.domain.flows.ports import NodeContext


class InputNode:
    """Goes out: the input's text."""

    type = "input"
    version = 1

    async def run(self, context: NodeContext, config: Mapping[str, Any], value: Any) -> Any:
        return str(value)
