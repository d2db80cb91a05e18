"""AGT-1: the starter agent, and what may be asked of an agent."""

import pytest

from backend.domain.agents.errors import InputInvalid
from backend.domain.agents.rules import CONCIERGE, MAX_INPUT, checked_input, key_trigger, starter_graph
from backend.domain.flows.nodes import NODES
from backend.domain.flows.rules import chain


def test_the_starter_agent_runs_a_chain_of_known_nodes_and_offers_three_prompts() -> None:
    assert [node.type for node in chain(starter_graph(CONCIERGE))] == ["input", "prompt", "llm", "output"]
    assert {node.type for node in starter_graph(CONCIERGE).nodes} <= set(NODES)
    assert len(CONCIERGE.prompts) == 3


@pytest.mark.parametrize(
    ("text", "thread"), [("", ""), (" ", ""), ("x" * (MAX_INPUT + 1), ""), ("x", "a\nb"), ("x", "y" * 81)]
)
def test_an_input_that_cannot_be_used_is_refused_and_named(text: str, thread: str) -> None:
    with pytest.raises(InputInvalid) as refused:
        checked_input(text, thread)
    assert refused.value.field in {"input", "thread"}


def test_an_idempotency_key_belongs_to_its_caller() -> None:
    assert key_trigger("key_a", "1") == key_trigger("key_a", "1")
    assert key_trigger("key_a", "1") != key_trigger("key_b", "1")
    assert len(key_trigger("k", "x" * 10_000)) <= 80
