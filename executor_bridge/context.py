"""What every handler is given: the ports, the limits, and the few things that all of them share in this process."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    import structlog

    from executor_bridge.api import Api
    from executor_bridge.clusters import Clusters
    from executor_bridge.forbidden import Forbidden
    from runtime.ports import Log
    from runtime.tracing import Tracer
    from schemas.messages import Command, Decision

SOURCE: Final = "/kubernaut/bridge"
CREATES: Final = 32
BEHIND: Final = 16
READS: Final = 16
"""Calls at once. Each is a connection, and a TLS handshake costs both sides more CPU than a call; 64 calls of 10 ms are
6,400 a second, which is more than an API server takes."""
LOOKS_BACK: Final = 2
"""Readings of the log at once: all bridges together have 16 names for them; who finds none free waits for seconds."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How long things may take, in seconds."""

    hand: float = 40.0
    """Work on one message; then it is given back. The adapter keeps a message for 45 s."""
    give_back: float = 5.0
    """Delay until a message that was given back comes again."""
    creates_first: float = 0.5
    """How long everything else in a decision waits for its creates, which are on a step's way."""
    retry_first: float = 0.2
    retry_most: float = 5.0
    """Back-off between two tries of a call that did not go through."""
    leaving: float = 30.0
    """How long to wait for an object of another owner to leave the name that we need."""
    forbidden: float = 120.0
    """How long a command is tried again without the rights for it: they may be given back."""
    forbidden_end: float = 3600.0
    """The same for the status that shows how a run ended, which nothing later would repair."""
    status_interval: float = 0.2
    """Least time between two statuses of a workflow that show the same phase: 5 a second."""
    answer: float = 5.0
    """Within this the API of a cluster must answer to be counted as reachable."""
    elsewhere: float = 12.0
    """How long another cluster may take to answer a check; then what is there counts as not reachable."""
    audit: float = 2.0
    """How long the auditor may be behind: it has the same message in hand, and commits before it acknowledges."""
    probe: float = 10.0
    """Longest time without asking the API server anything."""


class Refused(msgspec.Struct, frozen=True):
    """The cluster will never accept a command."""

    reason: str
    """name_conflict, forbidden, invalid or gone."""
    message: str


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """One command of a decision in hand."""

    decision: Decision
    index: int
    cause: str
    """Id of the decision's message."""
    sequence: int
    """Where that message is in the log."""
    correlation_id: str
    traceparent: str
    until: float
    """When the message must be given back, on the loop's clock."""
    looked_at: float
    """When the log was asked for the workflow's last decision, by which the command is wanted, on the loop's clock."""
    again: bool = False
    """Whether somebody may have worked on the message before."""

    @property
    def command(self) -> Command:
        """The command."""
        return self.decision.commands[self.index]

    @property
    def command_id(self) -> str:
        """`<workflow uid>/<decision version>/<index>`, the same in any process."""
        return f"{self.decision.workflow.uid}/{self.decision.version}/{self.index}"


class Context:
    """Made once, by the composition root."""

    def __init__(
        self,
        log: Log,
        api: Api,
        forbidden: Forbidden,
        logger: structlog.typing.FilteringBoundLogger,
        limits: Limits,
        *,
        clusters: Clusters,
        tracer: Tracer | None = None,
    ) -> None:
        """`logger` must never be given a parameter of a step: they may hold secrets."""
        self.log = log
        self.api = api
        self.forbidden = forbidden
        self.logger = logger
        self.limits = limits
        self.clusters = clusters
        self.tracer = tracer
        """Takes the spans of commands; None where traces are not asked for."""
        self.creates = asyncio.Semaphore(CREATES)
        self.behind = asyncio.Semaphore(BEHIND)
        """For calls that no step waits for, so that a flood of them leaves connections free for creates."""
        self.looks_back = asyncio.Semaphore(LOOKS_BACK)
        """For finding out what the log was told of an execution that may have been asked for before."""
        self.reads = asyncio.Semaphore(READS)
        """For what checks read in this cluster, so that a flood of checks delays no status."""
