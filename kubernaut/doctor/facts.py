"""What was found, before anybody judges it. Data only: `Unlooked` stands where something could not be looked at."""

from __future__ import annotations

from typing import Any

import msgspec

from auditor.newest import Newest
from kubernaut.cli.freeze_lines import Frozen
from kubernaut.doctor.finding import Unlooked

Json = dict[str, Any]


class StreamFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A stream as the server tells it."""

    config: Json
    messages: int
    bytes: int
    cluster: Json = {}
    """Its group of servers; empty on a server that stands alone."""


class ConsumerFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A durable consumer as the server tells it."""

    config: Json
    waiting: int
    """Messages that nobody has in hand."""
    in_hand: int
    acknowledged: int
    """Sequence up to which everything is acknowledged."""
    readers: int
    """Requests for messages that are open; several looks, the largest."""
    oldest_ms: int = 0
    """When the oldest message that is not acknowledged was stored, in ms since 1970; 0 for none."""
    pause: Frozen | None = None


class Monitor(msgspec.Struct, frozen=True, kw_only=True):
    """What the server's monitoring port tells."""

    health: str
    """`ok`, or what is wrong."""
    sync_always: bool
    sync_seconds: float
    max_storage: int
    storage: int


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """What is remembered of a stream outside of it."""

    vouched: bool
    had: int
    """Highest sequence that it is known to have had."""
    loss: str = ""
    """What shows that it lost something; empty when nothing does."""


class NatsFacts(msgspec.Struct, frozen=True, kw_only=True):
    """NATS."""

    address: str
    in_plain: bool = False
    """Whether somebody on the way could read what is sent."""
    version: str
    max_payload: int
    account: Json | Unlooked
    """What JetStream tells of the account."""
    now_ms: int
    """By the server's clock; 0 where nothing told it."""
    ahead_seconds: float | Unlooked
    """How far the server's clock is ahead of this machine's."""
    monitor: Monitor | Unlooked | None
    """None where its address was not given."""
    streams: dict[str, StreamFacts | Unlooked | None]
    """By name; None for one that is not there."""
    consumers: dict[str, ConsumerFacts | Unlooked | None]
    memory: dict[str, Memory] | Unlooked
    """By stream, of those in which nothing is ever deleted."""
    letters: dict[str, int] | Unlooked
    """By consumer: dead letters that wait for a person."""
    mirror: StreamFacts | Unlooked | None = None
    mirror_asked: bool = False
    mirror_lag: int = 0


class DatabaseFacts(msgspec.Struct, frozen=True, kw_only=True):
    """PostgreSQL."""

    address: str
    version: int
    """As `server_version_num` has it: 180006."""
    settings: dict[str, str]
    role: str
    bytes: int
    ahead_seconds: float
    applied: dict[int, tuple[str, str]] | Unlooked
    """Name and checksum of each migration."""
    unreadable: tuple[str, ...] = ()
    """Tables and views of the audit that this role may not read."""
    writer: bool = True
    """Whether there is a role kubernaut_writer that may do anything here."""
    writer_lacks: tuple[str, ...] = ()
    """What the auditor does and that role may not, as `INSERT audit_message`."""
    writer_exceeds: tuple[str, ...] = ()
    """What that role may and the auditor does not."""
    in_plain: bool = False
    """Whether somebody on the way could read what is sent."""
    months: tuple[str, ...] = ()
    """Ends of the names of the months that have a partition, as `202611`."""
    next_month: str = ""
    newest: Newest | Unlooked
    sealed: int | Unlooked
    """Highest sequence that is sealed; 0 for none."""
    unsealed_seconds: float | Unlooked
    """Age of the oldest message that is not sealed, by the database's clock; 0 for none."""
    quarantined: int | Unlooked
    repeated: int | Unlooked


class RunFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What of a WorkflowExecution the doctor looks at; times in seconds since 1970, 0 for none."""

    name: str
    """With its namespace: `shop/restart-web`."""
    created: float
    changed: float
    """When anything but the status was written last."""
    generation: int
    observed: int
    phase: str
    ended: float = 0.0
    kept_seconds: float = 0.0
    """How long it is kept after its end."""
    owned: bool = False
    deleted: float = 0.0
    finalizer: bool = False


class PolicyFacts(msgspec.Struct, frozen=True, kw_only=True):
    """An admission policy of ours."""

    name: str
    bound: bool
    warnings: tuple[str, ...] = ()


class ServiceFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A Deployment of ours."""

    name: str
    """With its namespace."""
    service: str
    version: str
    wanted: int
    ready: int
    updated: int
    current: bool
    """Whether the controller has taken in its last change."""


class RightsFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What one account of ours may and may not."""

    account: str
    lacks: tuple[str, ...] = ()
    """What its service needs and it may not."""
    exceeds: tuple[str, ...] = ()
    """What none of ours may have and it has."""
    grant: str = ""
    """What gives it all its rights."""


class ClusterFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Kubernetes."""

    version: Json
    user: str | Unlooked
    now: float
    """By the API server's clock, seconds since 1970; this machine's where it did not tell."""
    ahead_seconds: float | Unlooked
    definitions: dict[str, Json | Unlooked | None]
    runs: list[RunFacts] | Unlooked
    policies: list[PolicyFacts] | Unlooked
    services: list[ServiceFacts] | Unlooked
    rights: list[RightsFacts] | Unlooked


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """Everything. None for a part that was not asked for."""

    nats: NatsFacts | Unlooked | None = None
    database: DatabaseFacts | Unlooked | None = None
    cluster: ClusterFacts | Unlooked | None = None
    own_version: str = ""
