"""A message as an entry of a stream."""

import msgspec

from backend.adapters.valkey.follower import Entry
from backend.foundation.bus.ports import Delivery, Message, Partition

_headers = msgspec.json.Decoder(dict[str, str])
encode_headers = msgspec.json.Encoder().encode


def delivery_of(partition: Partition, entry: Entry) -> Delivery:
    """Return the delivery of an entry; one that nobody of ours wrote comes without headers, so it is a dead letter."""
    try:
        _, key, _, headers, _, value = entry.fields
        message = Message(partition.topic, key.decode(), _headers.decode(headers), value)
    except (ValueError, msgspec.MsgspecError):
        message = Message(partition.topic, "", {"content-type": "unknown"}, b" ".join(entry.fields))
    return Delivery(message, partition, entry.id, int(entry.id.partition("-")[0]))
