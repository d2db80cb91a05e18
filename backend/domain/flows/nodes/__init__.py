"""The built-in node types: one file each, one line here."""

from collections.abc import Mapping

from backend.domain.flows.nodes.input import InputNode
from backend.domain.flows.nodes.llm import LlmNode
from backend.domain.flows.nodes.output import OutputNode
from backend.domain.flows.nodes.prompt import PromptNode
from backend.domain.flows.ports import NodeType

NODES: Mapping[str, NodeType] = {node.type: node for node in (InputNode(), PromptNode(), LlmNode(), OutputNode())}
