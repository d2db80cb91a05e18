"""BUS-6: what breaks who uses the old document is called breaking, and nothing else is."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.foundation.events.rules.changes import NotAsyncApi, compare
from backend.foundation.events.types import CATALOGUE
from backend.reads.asyncapi import document

Edit = Callable[[dict[str, Any]], Any]
SENT, RECEIVED = "MessageSent", "StartRun"


def schema(described: dict[str, Any], name: str) -> dict[str, Any]:
    return described["components"]["schemas"][name]


def message(described: dict[str, Any]) -> dict[str, Any]:
    return described["components"]["messages"]["chat.message_sent.v1"]


def operation(described: dict[str, Any]) -> dict[str, Any]:
    return described["operations"]["chat-sends-chat.message_sent.v1"]


BREAKING: dict[str, Edit] = {
    "channel removed": lambda d: d["channels"].pop("aw.chat"),
    "address changed": lambda d: d["channels"]["aw.chat"].update(address="aw.talk"),
    "message removed": lambda d: d["channels"]["aw.chat"]["messages"].clear(),
    "operation removed": lambda d: d["operations"].pop("chat-sends-chat.message_sent.v1"),
    "operation turned": lambda d: operation(d).update(action="receive"),
    "operation moved": lambda d: operation(d).update(channel={"$ref": "#/channels/aw.runs"}),
    "consumer group changed": lambda d: d["operations"]["agents-receives-chat.message_sent.v1"]["bindings"]["kafka"][
        "groupId"
    ].update(enum=["aw.others"]),
    "server removed": lambda d: d["servers"].pop("kafka"),
    "protocol changed": lambda d: d["servers"]["kafka"].update(protocol="amqp"),
    "door locked": lambda d: d["servers"]["kafka"].update(security=[{"type": "scramSha256"}]),
    "partitions changed": lambda d: d["channels"]["aw.chat"]["bindings"]["kafka"].update(partitions=9),
    "partition key changed": lambda d: message(d)["x-partition-key"].update(header="ce_subject"),
    "key retyped": lambda d: message(d)["bindings"]["kafka"]["key"].update(type="integer"),
    "content type changed": lambda d: message(d).update(contentType="application/avro"),
    "header required": lambda d: message(d)["headers"]["required"].append("ce_subject"),
    "header removed": lambda d: message(d)["headers"]["properties"].pop("ce_subject"),
    "property removed": lambda d: schema(d, SENT)["properties"].pop("text"),
    "property retyped": lambda d: schema(d, SENT)["properties"]["text"].update(type="integer"),
    "property nullable": lambda d: schema(d, SENT)["properties"]["text"].update(type=["string", "null"]),
    "property new and required": lambda d: (
        schema(d, SENT)["properties"].update(mood={"type": "string"}),
        schema(d, SENT)["required"].append("mood"),
    ),
    "enum where any value was": lambda d: schema(d, SENT)["properties"]["text"].update(enum=["a"]),
    "format where any text was": lambda d: schema(d, SENT)["properties"]["text"].update(format="uuid"),
    "limit where none was": lambda d: schema(d, SENT)["properties"]["text"].update(maxLength=10),
    "pattern where any text was": lambda d: schema(d, SENT)["properties"]["text"].update(pattern="^a"),
    "optional property of a command removed": lambda d: schema(d, RECEIVED)["properties"].pop("thread"),
}
COMPATIBLE: dict[str, Edit] = {
    "channel new": lambda d: d["channels"].update(new={"address": "aw.new", "messages": {}}),
    "message new": lambda d: d["channels"]["aw.chat"]["messages"].update(new={"payload": {}}),
    "operation new": lambda d: d["operations"].update(new={**operation(d)}),
    "server new": lambda d: d["servers"].update(other={"host": "h", "protocol": "kafka"}),
    "property new and optional": lambda d: schema(d, SENT)["properties"].update(mood={"type": "string", "default": ""}),
    "header new and optional": lambda d: message(d)["headers"]["properties"].update(ce_mood={"type": "string"}),
    "default changed": lambda d: schema(d, RECEIVED)["properties"]["thread"].update(default="main"),
    "a command that is only received takes more": lambda d: schema(d, RECEIVED).update(required=["agent"]),
}


@pytest.mark.parametrize("edit", BREAKING.values(), ids=BREAKING.keys())
def test_a_breaking_change_is_told_with_cause_and_fix(edit: Edit) -> None:
    new = copy.deepcopy(document())
    edit(new)
    first, *_ = compare(document(), new)
    assert first.breaking
    assert first.cause
    assert first.fix


@pytest.mark.parametrize("edit", COMPATIBLE.values(), ids=COMPATIBLE.keys())
def test_a_compatible_change_is_told_and_breaks_nothing(edit: Edit) -> None:
    new = copy.deepcopy(document())
    edit(new)
    found = compare(document(), new)
    assert found
    assert not any(one.breaking for one in found)


@pytest.mark.parametrize(
    "edit",
    [
        lambda d: d["info"].update(version="2", description="x"),
        lambda d: message(d).update(summary="x", examples=[]),
        lambda d: schema(d, SENT).update(description="x", title="y"),
        lambda d: message(d).update(payload=schema(d, SENT)),
    ],
    ids=["info", "words of a message", "words of a schema", "a reference written out"],
)
def test_words_and_the_form_of_references_are_no_change(edit: Edit) -> None:
    new = copy.deepcopy(document())
    edit(new)
    assert compare(document(), new) == []


def test_a_channel_may_have_another_name_in_the_document() -> None:
    new = copy.deepcopy(document())
    new["channels"]["talk"] = new["channels"].pop("aw.chat")
    for each in new["operations"].values():
        for reference in (each["channel"], *each["messages"]):
            reference["$ref"] = reference["$ref"].replace("#/channels/aw.chat", "#/channels/talk")
    assert compare(document(), new) == []


def test_what_a_trait_brings_is_the_messages_own() -> None:
    new = copy.deepcopy(document())
    headers = message(new).pop("headers")
    new["components"]["messageTraits"] = {"event": {"headers": headers}}
    message(new)["traits"] = [{"$ref": "#/components/messageTraits/event"}]
    assert compare(document(), new) == []


@pytest.mark.parametrize("wrong", [None, [], {}, "x", {"asyncapi": "2.6.0"}, {"asyncapi": 3}])
def test_what_is_no_document_is_refused(wrong: Any) -> None:
    for pair in ((wrong, document()), (document(), wrong)):
        with pytest.raises(NotAsyncApi):
            compare(*pair)


PLACES = st.sampled_from([(entry.data.__name__, field) for entry in CATALOGUE.values()
                          for field in entry.data.__struct_fields__])  # fmt: skip


@settings(deadline=None)
@given(st.sets(PLACES, min_size=1), st.sampled_from(["number", "null", None]))
def test_no_property_is_lost_or_retyped_unseen(places: set[tuple[str, str]], kind: str | None) -> None:
    new = copy.deepcopy(document())
    for name, field in places:
        properties = schema(new, name)["properties"]
        if kind is None:
            del properties[field]
        else:
            properties[field] = {"type": kind}
    broken = {one.place.rpartition("/")[2] for one in compare(document(), new) if one.breaking}
    assert {field for _, field in places} <= broken


JUNK = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["$ref", "messages", "payload", "required", "properties", "enum", "x"]), inner, max_size=3
        )
    ),
    max_leaves=8,
)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(["servers", "channels", "operations", "components"]), JUNK))
def test_a_document_that_is_nonsense_is_compared_without_a_crash(junk: dict[str, Any]) -> None:
    nonsense = {"asyncapi": "3.0.0", **junk}
    assert compare(nonsense, nonsense) == []
    compare(document(), nonsense)
    compare(nonsense, document())
