"""One check under way: its command, and how it reads each cluster. Must never look at an unbounded number of things."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Literal, TypeVar

from executor_bridge.checks.verdict import TARGETS
from executor_bridge.clusters import UnknownClusterError
from executor_bridge.reading import AwayError, Reader, UnreadableHereError, side_by_side
from schemas.messages import CheckFinding

if TYPE_CHECKING:
    from executor_bridge.context import Context, Order
    from schemas.messages import RunCheck

T = TypeVar("T")
State = Literal["passed", "failed", "unknown"]


class Survey:
    """What a look is given."""

    def __init__(self, context: Context, order: Order, command: RunCheck) -> None:
        """`command` is the order's."""
        self.context = context
        self.order = order
        self.command = command
        self._readers: dict[str, Reader] = {}

    def reader(self, cluster: str) -> Reader:
        """Return what reads a cluster; the same one all along, so that one that is away is found out once."""
        reader = self._readers.get(cluster)
        if reader is None:
            reader = self._readers[cluster] = Reader(self.context, cluster, self.order.until)
        return reader

    async def each(self, things: Iterable[T], look: Callable[[T], Awaitable[list[CheckFinding]]]) -> list[CheckFinding]:
        """Look at the different things, a few at a time and no more than a check looks at; say what was left out."""
        different = list(dict.fromkeys(things))
        findings = [found for some in await side_by_side(different[:TARGETS], look) for found in some]
        if (rest := len(different) - TARGETS) > 0:
            message = f"not looked at: a check looks at {TARGETS} targets at most"
            findings.append(CheckFinding(subject=f"{rest} more", state="unknown", message=message))
        return list(dict.fromkeys(findings))


async def meant(subject: str, look: Awaitable[list[CheckFinding]], *, unknown: State = "failed") -> list[CheckFinding]:
    """Return what a look found, or what its errors mean. `unknown`: what a cluster means that we do not know."""
    try:
        return await look
    except UnreadableHereError as error:
        return [CheckFinding(subject=subject, state="unknown", message=str(error))]
    except UnknownClusterError as error:
        return [CheckFinding(subject=subject, state=unknown, message=str(error))]
    except AwayError as error:
        return [CheckFinding(subject=subject, state="failed", message=str(error))]


def label(thing: object, cluster: str) -> str:
    """Name a thing and the cluster that it is in, where that is not this one."""
    return f"{thing} in cluster {cluster}" if cluster else str(thing)
