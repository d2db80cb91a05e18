"""The request that changes some settings of a topic and leaves the others alone.

The library has the older one alone (AlterConfigs), which takes all settings away that it does not name: whoever changed
one at the same moment would lose it. This is IncrementalAlterConfigs, version 0 (KIP-339), as kafka.apache.org/protocol
describes it.
"""

from collections.abc import Mapping
from typing import Any

from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Boolean, Int8, Int16, Int32, Schema, String

_KEY = 44
_TOPIC = 2
_SET = 0


class _Answer(Response):
    API_KEY = _KEY  # pyright: ignore[reportAssignmentType, reportIncompatibleMethodOverride] - as the library's own do
    API_VERSION = 0  # pyright: ignore[reportAssignmentType, reportIncompatibleMethodOverride] - as the library's own do
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "resources",
            Array(
                ("error_code", Int16),
                ("error_message", String("utf-8")),
                ("resource_type", Int8),
                ("resource_name", String("utf-8")),
            ),
        ),
    )


class _Version0(RequestStruct):
    API_KEY = _KEY
    API_VERSION = 0
    RESPONSE_TYPE = _Answer
    SCHEMA = Schema(
        (
            "resources",
            Array(
                ("resource_type", Int8),
                ("resource_name", String("utf-8")),
                ("configs", Array(("name", String("utf-8")), ("operation", Int8), ("value", String("utf-8")))),
            ),
        ),
        ("validate_only", Boolean),
    )


class IncrementalAlterConfigs(Request[_Version0]):
    """Sets some settings of one topic."""

    API_KEY = _KEY

    def __init__(self, topic: str, settings: Mapping[str, str]) -> None:
        self._resource = (_TOPIC, topic, [(name, _SET, value) for name, value in settings.items()])

    def build(self, request_struct_class: type[Any]) -> Any:
        """See the library's `Request`."""
        return request_struct_class([self._resource], False)
