"""The codec against the `cloudevents` package, and against what nobody should send."""

import json
from datetime import UTC, datetime

import msgspec
import pytest
from cloudevents.core.bindings.kafka import KafkaMessage, from_binary_event, from_structured_event
from cloudevents.core.bindings.kafka import to_binary_event as package_to_binary
from cloudevents.core.bindings.kafka import to_structured_event as package_to_structured
from cloudevents.core.v1.event import CloudEvent
from hypothesis import given
from hypothesis import strategies as st

from backend.foundation.events import codec
from backend.foundation.events.codec import BadAttribute, BadPayload, MissingTenant, Undecodable, UnknownEventType
from backend.foundation.events.envelope import Event
from backend.foundation.events.types import CATALOGUE, MessageSent, StartRun
from backend.foundation.kernel.ids import TenantId

MESSAGE_SENT, START_RUN = "chat.message_sent.v1", "agents.start_run.v1"

texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=60)
attributes = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=60)
filled = attributes.filter(bool)
traces = st.text(st.characters(codec="ascii", exclude_categories=("Cc",)), max_size=60)
tenants = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=40)
times = st.integers(0, 253_402_300_799_999)
payloads = st.one_of(
    st.builds(MessageSent, thread=texts, message=texts, agent=texts, text=texts, sender=texts).map(
        lambda data: (MESSAGE_SENT, data)
    ),
    st.builds(StartRun, agent=texts, input=texts, thread=texts).map(lambda data: (START_RUN, data)),
)
events = st.builds(
    lambda payload, tenant, key, source, subject, id_, time_ms, traceparent: Event(
        type=payload[0],
        tenant=TenantId(tenant),
        key=key,
        data=payload[1],
        source=source,
        subject=subject,
        id=id_,
        time_ms=time_ms,
        traceparent=traceparent,
    ),
    payloads,
    tenants,
    filled,
    filled,
    attributes,
    filled,
    times,
    traces,
)


def sent(number: int = 1) -> Event:
    data = MessageSent(thread="thr_1", message="msg_1", agent="agt_1", text=f"hello {number}", sender="usr_1")
    return Event(type=MESSAGE_SENT, tenant=TenantId("ten_1"), key="thr_1", data=data, source="/chat")


def as_package(event: Event) -> CloudEvent:
    attributes: dict[str, object] = {
        "id": event.id,
        "source": event.source,
        "type": event.type,
        "time": datetime.fromtimestamp(event.time_ms / 1000, UTC),
        "datacontenttype": "application/json",
        "tenantid": event.tenant,
        "partitionkey": event.key,
    }
    if event.subject:
        attributes["subject"] = event.subject
    if event.traceparent:
        attributes["traceparent"] = event.traceparent
    return CloudEvent(attributes, json.loads(msgspec.json.encode(event.data)))


@given(events)
def test_what_is_encoded_is_decoded_again(event: Event) -> None:
    """BUS-2."""
    topic, key, headers, value = codec.encode(event)
    assert topic == CATALOGUE[event.type].topic
    assert key == event.key
    assert codec.decode(headers, value) == event


@given(events)
def test_the_cloudevents_package_reads_what_is_written(event: Event) -> None:
    """BUS-2: binary mode."""
    wire = codec.encode(event)
    headers = {name: value.encode() for name, value in wire.headers.items()}
    read = from_binary_event(KafkaMessage(headers=headers, key=wire.key, value=wire.value))
    assert read.get_id() == event.id
    assert read.get_source() == event.source
    assert read.get_type() == event.type
    assert read.get_specversion() == "1.0"
    assert (read.get_subject() or "") == event.subject
    assert read.get_extension("tenantid") == event.tenant
    assert read.get_extension("partitionkey") == event.key
    assert (read.get_extension("traceparent") or "") == event.traceparent
    assert read.get_time() == datetime.fromisoformat(wire.headers["ce_time"])
    assert read.get_data() == json.loads(msgspec.json.encode(event.data))


@given(events.filter(lambda event: event.time_ms < 32_503_680_000_000))
def test_what_the_cloudevents_package_writes_is_read(event: Event) -> None:
    """BUS-2: binary and structured mode."""
    for write in (package_to_binary, package_to_structured):
        message = write(as_package(event))
        headers = {name: value.decode() for name, value in message.headers.items()}
        assert codec.decode(headers, message.value, str(message.key)) == event


def test_structured_mode_reads_like_the_package() -> None:
    """BUS-2."""
    message = package_to_structured(as_package(sent()))
    headers = {name: value.decode() for name, value in message.headers.items()}
    ours = codec.decode(headers, message.value)
    theirs = from_structured_event(message)
    assert (ours.id, ours.type, ours.source) == (theirs.get_id(), theirs.get_type(), theirs.get_source())


def test_structured_mode_takes_data_in_base64() -> None:
    """BUS-2."""
    body = {"specversion": "1.0", "id": "1", "source": "/x", "type": START_RUN, "tenantid": "ten_1"}
    body["data_base64"] = "eyJhZ2VudCI6ImEiLCJpbnB1dCI6ImIifQ=="
    event = codec.decode({}, json.dumps(body).encode(), "key")
    assert event.data == StartRun(agent="a", input="b")
    assert event.key == "key"


def test_fields_that_a_newer_version_added_are_passed_over() -> None:
    """BUS-2: a rolling upgrade reads both ways."""
    _, _, headers, _ = codec.encode(sent())
    value = b'{"thread":"t","message":"m","agent":"a","text":"x","sender":"s","mood":"new"}'
    assert isinstance(codec.decode(headers, value).data, MessageSent)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"ce_type": "chat.unheard_of.v1"}, UnknownEventType),
        ({"ce_tenantid": ""}, MissingTenant),
        ({"ce_id": ""}, Undecodable),
        ({"ce_source": ""}, Undecodable),
        ({"ce_type": ""}, Undecodable),
        ({"ce_specversion": "0.3"}, Undecodable),
        ({"ce_time": "yesterday"}, Undecodable),
        ({"ce_time": "2026-01-01T00:00:00"}, Undecodable),
        ({"content-type": "application/xml"}, BadPayload),
    ],
)
def test_an_event_with_a_bad_attribute_is_refused_with_the_reason(
    change: dict[str, str], error: type[Undecodable]
) -> None:
    """BUS-2 IDN-3."""
    _, _, headers, value = codec.encode(sent())
    with pytest.raises(error) as refused:
        codec.decode(headers | change, value)
    assert refused.value.status == 422
    assert refused.value.hint


@pytest.mark.parametrize("attribute", ["id", "source", "subject", "tenantid", "partitionkey"])
@pytest.mark.parametrize("text", ["a\x00", "\x1f", "\x9f", "x" * 1_025, "\U0001f600" * 300])
def test_an_attribute_that_no_database_holds_is_refused_by_name(attribute: str, text: str) -> None:
    """BUS-2."""
    wire = codec.encode(sent())
    with pytest.raises(BadAttribute) as refused:
        codec.decode({**wire.headers, f"ce_{attribute}": text}, wire.value)
    assert refused.value.field == attribute


def test_an_attribute_as_long_as_may_be_is_taken() -> None:
    wire = codec.encode(sent())
    assert codec.decode({**wire.headers, "ce_id": "ü" * 512}, wire.value).id == "ü" * 512


@pytest.mark.parametrize("trace", ["\x00", "x" * 65])
def test_a_trace_context_that_cannot_be_one_is_ignored(trace: str) -> None:
    wire = codec.encode(sent())
    assert codec.decode({**wire.headers, "ce_traceparent": trace}, wire.value).traceparent == ""


@pytest.mark.parametrize("value", [b"", b"null", b"[]", b'{"thread": 1}', b"\xff", b'{"thread":"t"}'])
def test_data_that_does_not_fit_its_model_is_refused(value: bytes) -> None:
    """BUS-2."""
    _, _, headers, _ = codec.encode(sent())
    with pytest.raises(BadPayload, match=r"chat\.message_sent\.v1"):
        codec.decode(headers, value)


@given(st.dictionaries(st.sampled_from(["ce_type", "ce_id", "ce_source", "content-type", "x"]), texts), st.binary())
def test_nothing_but_undecodable_comes_out_of_garbage(headers: dict[str, str], value: bytes) -> None:
    """BUS-2: an event that cannot be read is a dead letter, never a crash."""
    with pytest.raises(Undecodable):
        codec.decode(headers, value)


def test_what_is_not_in_the_catalogue_cannot_be_sent() -> None:
    """BUS-2."""
    with pytest.raises(UnknownEventType):
        codec.encode(msgspec.structs.replace(sent(), type="chat.unheard_of.v1"))
    with pytest.raises(BadPayload):
        codec.encode(msgspec.structs.replace(sent(), type=START_RUN))
    with pytest.raises(MissingTenant):
        codec.encode(msgspec.structs.replace(sent(), tenant=TenantId("")))
    with pytest.raises(Undecodable):
        codec.encode(msgspec.structs.replace(sent(), time_ms=10**18))
