"""FLW-3: keys, waits and the shape of a chain."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.domain.flows.errors import GraphInvalid
from backend.domain.flows.rules import Edge, Graph, Node, chain, effect_key, retry_wait_ms


def graph(nodes: str, *edges: str) -> Graph:
    return Graph(
        nodes=tuple(Node(id=name, type="input") for name in nodes),
        edges=tuple(Edge(source=edge[0], target=edge[1]) for edge in edges),
    )


def test_a_chain_is_ordered_by_its_edges_and_not_by_its_nodes() -> None:
    assert [node.id for node in chain(graph("cab", "ab", "bc"))] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("broken", "named"),
    [
        (graph("ab"), "2 first nodes"),
        (graph("abc", "ab", "ac"), "'a' has a branch"),
        (graph("abc", "ac", "bc"), "'b' has a branch"),
        (graph("ab", "ax"), "'x', which is no node"),
        (graph("ab", "ab", "ba"), "0 first nodes"),
        (graph("abc", "bc", "cb"), "'b' is not reached"),
    ],
)
def test_a_graph_that_is_no_chain_is_refused_with_the_node_and_the_fix(broken: Graph, named: str) -> None:
    with pytest.raises(GraphInvalid) as refused:
        chain(broken)
    assert named in refused.value.message
    assert refused.value.hint


def test_an_effect_has_the_same_key_in_every_attempt_and_another_in_another_run() -> None:
    assert effect_key("run_1", "llm#0/turn[0]") == effect_key("run_1", "llm#0/turn[0]")
    assert len({effect_key(run, path) for run in ("run_1", "run_2") for path in ("a", "b")}) == 4


@given(st.integers(1, 40), st.floats(0, 1, exclude_max=True))
def test_a_retry_waits_at_least_a_quarter_second_and_at_most_thirty(attempt: int, roll: float) -> None:
    assert 250 <= retry_wait_ms(attempt, asked_s=None, roll=roll) <= 30_000


@given(st.floats(0, 1e6))
def test_a_wait_that_the_provider_asked_for_is_honoured_to_a_minute(asked: float) -> None:
    assert 100 <= retry_wait_ms(1, asked_s=asked) <= 60_000
