"""Names, keys and records."""

import pytest
from aiokafka.structs import ConsumerRecord, TopicPartition

from backend.adapters.kafka.names import Names
from backend.adapters.kafka.records import Partitions, decode, encode_headers, partition_of
from backend.foundation.bus.ports import Message, Partition
from backend.foundation.kernel.errors import Invalid


def _record(key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes]]) -> ConsumerRecord[bytes, bytes]:
    return ConsumerRecord("ns.orders", 2, 17, 1234, 0, key, value, None, 0, 0, headers)


def test_a_record_becomes_a_delivery_under_our_own_names() -> None:
    """BUS-1."""
    delivery = decode(Partition("orders", 2), _record("ü".encode(), b"\x00", [("ce_id", b"1")]))
    assert delivery.message == Message("orders", "ü", {"ce_id": "1"}, b"\x00")
    assert (delivery.partition, delivery.offset, delivery.timestamp_ms) == (Partition("orders", 2), "17", 1234)


def test_a_record_of_another_program_is_readable_whatever_it_holds() -> None:
    """BUS-1: no key, no value, no text."""
    delivery = decode(Partition("orders", 2), _record(None, None, [("x", b"\xff")]))
    assert delivery.message == Message("orders", "", {"x": "\ufffd"}, b"")


def test_headers_travel_as_pairs_of_text_and_bytes() -> None:
    """BUS-2."""
    headers, size = encode_headers(Message("t", "k", {"a": "1", "b": "µ"}, b""))
    assert headers == [("a", b"1"), ("b", "µ".encode())]
    assert size >= 5


def test_a_key_belongs_where_the_java_client_puts_it() -> None:
    """BUS-3: values by org.apache.kafka.common.utils.Utils.murmur2, as its own test has them."""
    known = {b"21": -973932308, b"foobar": -790332482, b"a-little-bit-long-string": -985981536}
    for key, murmur2 in known.items():
        assert partition_of(key, 7) == (murmur2 & 0x7FFFFFFF) % 7


def test_partitions_are_named_both_ways() -> None:
    """BUS-1."""
    partitions = Partitions({"ns.orders": "orders"})
    assert partitions.own(TopicPartition("ns.orders", 3)) == Partition("orders", 3)
    assert partitions.native(Partition("orders", 3)) == TopicPartition("ns.orders", 3)


def test_a_namespace_goes_before_each_name() -> None:
    """BUS-1."""
    names = Names("ns.")
    assert names.native("orders") == "ns.orders"
    assert names.own("ns.orders") == "orders"
    assert names.own("other.orders") is None
    assert names.own("__consumer_offsets") is None


@pytest.mark.parametrize("name", ["", "a b", "ä", "a/b", "x" * 250])
def test_a_name_that_kafka_forbids_is_refused(name: str) -> None:
    """BUS-1."""
    with pytest.raises(Invalid):
        Names("").native(name)
