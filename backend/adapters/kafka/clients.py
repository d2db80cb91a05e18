"""The client library's parts that the adapter uses, with the types that the library leaves open."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from ssl import SSLContext
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypedDict, cast

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.abc import AbstractTokenProvider, ConsumerRebalanceListener
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.coordinator.protocol import ConsumerProtocol
from aiokafka.errors import for_code
from aiokafka.protocol.admin import DeleteGroupsRequest
from aiokafka.structs import OffsetAndMetadata, OffsetAndTimestamp, RecordMetadata, TopicPartition

from backend.adapters.kafka.altering import IncrementalAlterConfigs
from backend.adapters.kafka.introduction import introduce
from backend.adapters.kafka.options import KafkaOptions
from backend.adapters.kafka.quiet import quieten
from backend.adapters.kafka.records import Headers, Record
from backend.adapters.kafka.unreadable import tolerate
from backend.adapters.kafka.urls import KafkaSecurity, KafkaTarget, tls_context

if TYPE_CHECKING:
    from backend.adapters.kafka.tokens import Tokens

_RETRY_MS = 250
_FETCH_WAIT_MS = 200
_FETCH_BYTES = 512 * 1024
_NO_GENERATION = -1
_NO_COORDINATOR = (14, 15, 16)
# Members may be programs of others, and what they say of themselves anything.
_NOT_READABLE = (ValueError, TypeError, IndexError, OverflowError, AttributeError)


class Batch(Protocol):
    """Records of one partition, being collected."""

    def append(self, *, timestamp: int, key: bytes, value: bytes, headers: Headers) -> object | None:
        """Add a record; ``None`` when the batch is full."""
        ...

    def close(self) -> None:
        """Take no more records: the batch goes at once instead of lingering."""
        ...


class Connections(Protocol):
    """`aiokafka.client.AIOKafkaClient`, and what else can be closed."""

    def close(self) -> Coroutine[Any, Any, None]: ...


class Producer(Protocol):
    """`aiokafka.AIOKafkaProducer`."""

    client: Connections

    async def start(self) -> None: ...
    async def flush(self) -> None: ...
    async def partitions_for(self, topic: str) -> set[int]: ...
    def create_batch(self) -> Batch: ...
    async def send_batch(self, batch: Batch, topic: str, *, partition: int) -> asyncio.Future[RecordMetadata]: ...


class Consumer(Protocol):
    """`aiokafka.AIOKafkaConsumer`."""

    async def start(self) -> None: ...
    def stop(self) -> Coroutine[Any, Any, None]: ...
    def subscribe(self, topics: Sequence[str], *, listener: ConsumerRebalanceListener) -> None: ...
    def assign(self, partitions: Sequence[TopicPartition]) -> None: ...
    def assignment(self) -> frozenset[TopicPartition]: ...
    def seek(self, partition: TopicPartition, offset: int) -> None: ...
    async def position(self, partition: TopicPartition) -> int: ...
    async def getmany(self, *, timeout_ms: int, max_records: int) -> Mapping[TopicPartition, Sequence[Record]]: ...
    def pause(self, *partitions: TopicPartition) -> None: ...
    def resume(self, *partitions: TopicPartition) -> None: ...
    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None: ...
    async def beginning_offsets(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]: ...
    async def end_offsets(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]: ...
    async def offsets_for_times(
        self, timestamps: dict[TopicPartition, int]
    ) -> Mapping[TopicPartition, OffsetAndTimestamp | None]: ...


class PartitionFacts(TypedDict):
    """A partition in the broker's metadata; ``leader`` is -1 while there is none."""

    partition: int
    leader: int


class TopicFacts(TypedDict):
    """A topic in the broker's metadata."""

    error_code: int
    topic: str
    partitions: list[PartitionFacts]


class ClusterFacts(TypedDict):
    """The cluster in the broker's metadata."""

    brokers: list[object]


class ErrorsAnswer(Protocol):
    """What the broker says to a change of topics: name, error code and maybe a text for each."""

    topic_errors: list[tuple[str, int, str]]


class DeletedAnswer(Protocol):
    """What the broker says to a deletion: name and error code for each."""

    topic_error_codes: list[tuple[str, int]]


class ConfigsAnswer(Protocol):
    """Resources, each as (error code, message, type, name, [(name, value, read only, source, …)])."""

    resources: list[tuple[int, str, int, str, list[tuple[str, str | None, bool, int]]]]


Member: TypeAlias = tuple[str, str, str, bytes, bytes]
"""A member of a group: id, client, host, metadata, assignment."""


class GroupsAnswer(Protocol):
    """Groups, each as (error code, name, state, protocol type, protocol, members)."""

    groups: list[tuple[int, str, str, str, str, list[Member]]]


class AlteredAnswer(Protocol):
    """What the broker says to a change of settings: error code, maybe a text, type and name of each resource."""

    resources: list[tuple[int, str | None, int, str]]


class DeletedGroupsAnswer(Protocol):
    """What the broker says to a deletion of groups: name and error code for each."""

    results: list[tuple[str, int]]


class Admin(Protocol):
    """`aiokafka.admin.AIOKafkaAdminClient`."""

    async def start(self) -> None: ...
    def close(self) -> Coroutine[Any, Any, None]: ...
    async def create_topics(self, new_topics: Sequence[NewTopic], timeout_ms: int) -> ErrorsAnswer: ...
    async def delete_topics(self, topics: Sequence[str], timeout_ms: int) -> DeletedAnswer: ...
    async def create_partitions(self, topic_partitions: Mapping[str, NewPartitions], timeout_ms: int) -> object: ...
    async def describe_topics(self) -> list[TopicFacts]: ...
    async def describe_cluster(self) -> ClusterFacts: ...
    async def describe_configs(self, config_resources: Sequence[ConfigResource]) -> list[ConfigsAnswer]: ...
    async def describe_consumer_groups(self, group_ids: Sequence[str]) -> list[GroupsAnswer]: ...
    async def find_coordinator(self, group_id: str) -> int: ...
    async def list_consumer_group_offsets(self, group_id: str) -> Mapping[TopicPartition, OffsetAndMetadata]: ...


class _MemberMetadata(Protocol):
    subscription: list[str]


class _MemberAssignment(Protocol):
    def partitions(self) -> list[TopicPartition]: ...


class _Connection(TypedDict):
    bootstrap_servers: str
    client_id: str
    security_protocol: str
    ssl_context: SSLContext | None
    sasl_mechanism: str
    sasl_plain_username: str | None
    sasl_plain_password: str | None
    sasl_oauth_token_provider: AbstractTokenProvider | None
    retry_backoff_ms: int


class Clients:
    """Makes clients of one cluster.

    Args:
        target: the brokers.
        security: credentials.
        options: times and sizes.
        client: what the broker's logs and quotas call this process.
    """

    def __init__(self, target: KafkaTarget, security: KafkaSecurity, options: KafkaOptions, client: str) -> None:
        self.target = target
        quieten()
        tolerate()
        self._options = options
        self._security = security
        self._tls = tls_context(security) if target.tls else None
        self._tokens = _tokens(security)
        self._client = client

    def _connection(self, client: str | None = None) -> _Connection:
        security = self._security
        return _Connection(
            bootstrap_servers=",".join(self.target.servers),
            client_id=client or self._client,
            security_protocol=("SASL_" if security.sasl else "") + ("SSL" if self._tls else "PLAINTEXT"),
            ssl_context=self._tls,
            sasl_mechanism=security.mechanism,
            sasl_plain_username=security.username or None,
            sasl_plain_password=security.password or None,
            sasl_oauth_token_provider=self._tokens,
            retry_backoff_ms=_RETRY_MS,
        )

    @property
    def security(self) -> KafkaSecurity:
        """How these clients prove who they are."""
        return self._security

    @property
    def token_expired(self) -> bool:
        """Whether the token that was shown last says of itself that it is past its time."""
        return self._tokens is not None and self._tokens.expired

    async def introduce(self, host: str, port: int) -> list[tuple[str, int]]:
        """Connect to one server, as every client does first, and ask it for its brokers; see `introduce`."""
        return await introduce(self._connection(), host, port)

    def producer(self) -> Producer:
        """Return an idempotent producer: what it writes twice is kept once, in order."""
        made = AIOKafkaProducer(
            **self._connection(),
            enable_idempotence=True,
            compression_type="lz4",
            max_batch_size=self._options.batch_bytes,
            linger_ms=2,
            request_timeout_ms=_ms(self._options.publish_s),
            metadata_max_age_ms=_ms(self._options.metadata_s),
        )
        return cast(Producer, made)

    def member(self, group: str, client: str, *, stays: bool) -> Consumer:
        """Return a consumer that will join the group; partitions without a committed position start at the earliest.

        One that ``stays`` is a static member: whoever joins by its name has its partitions, and nobody else moves.
        """
        options = self._options
        made = AIOKafkaConsumer(
            **self._connection(client),
            group_id=group,
            group_instance_id=client if stays else None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=_ms(options.return_s if stays else options.session_s),
            heartbeat_interval_ms=_ms(options.heartbeat_s),
            rebalance_timeout_ms=_ms(options.rebalance_s),
            # The group answers a join only after all have let go, or after the rebalance timeout.
            request_timeout_ms=_ms(options.rebalance_s + options.answer_s),
            metadata_max_age_ms=_ms(options.metadata_s),
            fetch_max_wait_ms=_FETCH_WAIT_MS,
            max_partition_fetch_bytes=_FETCH_BYTES,
        )
        return cast(Consumer, made)

    def observer(self) -> Consumer:
        """Return a consumer without a group, which reads what it is told to and moves nobody's position."""
        made = AIOKafkaConsumer(
            **self._connection(),
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            request_timeout_ms=_ms(self._options.answer_s),
            fetch_max_wait_ms=_FETCH_WAIT_MS,
            max_partition_fetch_bytes=_FETCH_BYTES,
        )
        return cast(Consumer, made)

    def admin(self) -> Admin:
        """Return a client for topics and groups."""
        return cast(Admin, AIOKafkaAdminClient(**self._connection(), request_timeout_ms=_ms(self._options.answer_s)))


def _tokens(security: KafkaSecurity) -> "Tokens | None":
    if security.mechanism != "OAUTHBEARER":
        return None
    # The client that asks for tokens is for those who have them.
    from backend.adapters.kafka.tokens import Tokens

    return Tokens(security)


def new_topic(name: str, partitions: int, settings: Mapping[str, str]) -> NewTopic:
    """Return the request for a topic with the broker's own replication factor."""
    # The library takes -1 (the broker's default) only beside an explicit, here empty, assignment.
    return NewTopic(name, partitions, -1, replica_assignments={}, topic_configs=dict(settings))


def topic_resource(name: str) -> ConfigResource:
    """Return the name of a topic's settings."""
    return ConfigResource(ConfigResourceType.TOPIC, name)


async def alter_topic(admin: Admin, name: str, settings: Mapping[str, str]) -> tuple[int, str]:
    """Ask a broker to change these settings of a topic; return the error code, 0 for none, and what it says to it."""
    answer = cast("AlteredAnswer", await _send(admin, IncrementalAlterConfigs(name, settings)))
    code, text, *_ = answer.resources[0]
    return code, text or ""


async def grow_topic(admin: Admin, name: str, partitions: int, timeout_ms: int) -> None:
    """Ask the controller for so many partitions in all; raise the library's error when it refuses."""
    await admin.create_partitions({name: NewPartitions(partitions)}, timeout_ms)


async def delete_group(admin: Admin, group: str) -> int:
    """Ask the group's coordinator to delete it; return the error code, 0 for none."""
    coordinator = await admin.find_coordinator(group)
    answer = cast("DeletedGroupsAnswer", await _send(admin, DeleteGroupsRequest([group]), coordinator))
    code = answer.results[0][1]
    if code in _NO_COORDINATOR:
        raise for_code(code)
    return code


async def _send(admin: Admin, request: object, *node: int) -> object:
    # The library knows how to send these requests but has no public method that does.
    send = cast("Callable[..., Awaitable[object]]", getattr(admin, "_send_request"))  # noqa: B009 - private, see above
    return await send(request, *node)


def subscription(metadata: bytes) -> list[str]:
    """Return the topics in a member's metadata; none where it is no metadata, as between two generations."""
    try:
        return cast(_MemberMetadata, ConsumerProtocol.METADATA.decode(metadata)).subscription
    except _NOT_READABLE:
        return []


def assignment(given: bytes) -> list[TopicPartition]:
    """Return the partitions in a member's assignment; none where it is no assignment, as between two generations."""
    try:
        return cast(_MemberAssignment, ConsumerProtocol.ASSIGNMENT.decode(given)).partitions()
    except _NOT_READABLE:
        return []


def is_member(consumer: Consumer) -> bool:
    """Return whether the group still knows this consumer: a commit of an expelled one would be refused."""
    # Nothing public tells an expulsion from a rebalance: the library calls the same listener for both.
    coordinator = getattr(consumer, "_coordinator", None)
    return getattr(coordinator, "generation", _NO_GENERATION) != _NO_GENERATION


def leave_the_name(consumer: Consumer) -> None:
    """Let it join as nobody in particular from now on: another member goes by its name."""
    vars(vars(consumer)["_coordinator"])["_group_instance_id"] = None


def connections_of(consumer: Consumer) -> Connections:
    """Return the consumer's connections, which its `stop` leaves open when it fails."""
    return cast(Connections, vars(consumer)["_client"])


def heed_given_up_commits(consumer: Consumer) -> None:
    """Take note of how a commit ended that was given up in time; for a consumer that was started.

    The library leaves its request running then, and asyncio would print the failure of each as one that nobody saw.
    """
    coordinator = vars(consumer)["_coordinator"]
    commit = coordinator._do_commit_offsets

    def heeded(assignment: object, offsets: object) -> "asyncio.Future[None]":
        request: asyncio.Future[None] = asyncio.ensure_future(commit(assignment, offsets))
        request.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        return request

    vars(coordinator)["_do_commit_offsets"] = heeded


def sender_of(producer: Producer) -> Connections | None:
    """Return the producer's sending task, whose `close` sends no more."""
    return cast("Connections | None", vars(producer).get("_sender"))


def _ms(seconds: float) -> int:
    return int(seconds * 1000)
