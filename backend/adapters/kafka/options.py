"""The adapter's times and sizes; the defaults are the product's."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaOptions:
    """Times in seconds, sizes in bytes.

    Attributes:
        answer_s: how long a question (topics, lag, positions) waits for the broker.
        start_s: how long `start` and `read` wait for it.
        publish_s: how long a message waits for the broker's acknowledgement.
        commit_s: how long a commit does.
        session_s: how long a member may be silent before the group gives its partitions away.
        return_s: how long the partitions of a member that stopped or died wait for its return by the same name (Kafka's
            static membership); 0: they go to the others at once, or after ``session_s``.
        revoke_s: how long a sink may take to let go of partitions.
        rebalance_s: how long the group waits for its members to join again; above ``revoke_s``.
        discover_s: how long a watcher may need to notice a new partition (it misses none of its messages).
        metadata_s: how often a reader looks for new partitions of its topics.
        batch_bytes: the size of a batch of one partition.
        max_message_bytes: what a message may weigh; brokers take 1 MiB unless configured otherwise.
        max_pending_bytes: what may wait to be written before `publish` refuses more.
        max_records: the deliveries handed over at once.
        watch_backlog: the deliveries that a slow watcher may be behind before it loses the oldest.
    """

    answer_s: float = 5.0
    start_s: float = 5.0
    publish_s: float = 8.0
    commit_s: float = 4.0
    session_s: float = 10.0
    return_s: float = 0.0
    revoke_s: float = 6.0
    rebalance_s: float = 15.0
    discover_s: float = 5.0
    metadata_s: float = 30.0
    batch_bytes: int = 128 * 1024
    max_message_bytes: int = 1_000_000
    max_pending_bytes: int = 64 * 1024 * 1024
    max_records: int = 500
    watch_backlog: int = 1000

    @property
    def heartbeat_s(self) -> float:
        """How often a member says that it lives: it hears of a rebalance by the answer."""
        return min(1.0, self.session_s / 4)
