"""IDN-7: no secret stands in an audit entry."""

import pytest

from backend.foundation.audit.rules import MASK, safe_detail


@pytest.mark.parametrize(
    "name", ["password", "Password_Hash", "client_secret", "setup_token", "cookie", "api_key", "Authorization"]
)
def test_a_value_whose_name_sounds_secret_is_masked(name: str) -> None:
    assert safe_detail({name: "hunter2", "outer": {name: "hunter2"}}) == {name: MASK, "outer": {name: MASK}}


def test_facts_stay_and_long_texts_are_cut() -> None:
    facts = {"name": "ci", "count": 3, "scopes": ["chat:use"], "keyboard": "de"}
    assert safe_detail(facts) == facts
    assert len(safe_detail({"text": "x" * 10_000})["text"]) == 501
