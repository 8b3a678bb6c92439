"""Reads one cluster for one check: bounded, patient as long as the message may be in hand, every error with a meaning.

Must never write anything but questions about rights, which the API server answers and forgets.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from executor_bridge.patience import NotYetError, TimeUpError, persist
from runtime.errors import ForbiddenError, GoneError, KubernautError, NotFoundError, RefusedError, UnavailableError

if TYPE_CHECKING:
    from executor_bridge.api import Api
    from executor_bridge.context import Context
    from runtime.ports import Object, Resource

T = TypeVar("T")
U = TypeVar("U")

SIDE_BY_SIDE: Final = 8
PAGES: Final = 40
"""Pages of 500 that are read of one list; a longer one is not judged."""
_OTHERS: Final = 8
"""Calls at once of one check on another cluster."""


class UnreadableHereError(KubernautError):
    """A thing cannot be judged: there is no right to read it, or what is there makes no sense. Says what is missing."""


class NotLetInError(UnreadableHereError):
    """The cluster answers, and does not accept our credentials."""


class AwayError(KubernautError):
    """Another cluster does not answer. This one's silence is trouble of infrastructure, which is waited for."""


class Reader:
    """What one check reads of one cluster."""

    def __init__(self, context: Context, name: str, until: float) -> None:
        """`name`: of the cluster, empty for this one; `until`: when the message must be given back."""
        self._context = context
        self._name = name
        self._until = until
        if name:
            self._until = min(until, asyncio.get_running_loop().time() + context.limits.elsewhere)
        self._places = asyncio.Semaphore(_OTHERS) if name else context.reads
        self._away = ""

    async def get(self, resource: Resource, namespace: str, name: str) -> Object | None:
        """Read an object; None when there is none."""
        right = f"get {resource.plural}{_of(resource)}{_in(namespace)}"
        try:
            return await self._ask(lambda api: api.get(resource, namespace, name), right)
        except NotFoundError:
            return None

    async def pages(self, resource: Resource, namespace: str | None) -> AsyncIterator[list[Any]]:
        """Read a list page by page, so that only one is in memory."""
        right = f"list {resource.plural}{_of(resource)}{_in(namespace or '')}"
        token = ""
        for _ in range(PAGES):
            page = await self._ask(lambda api, token=token: api.list(resource, namespace, next_page=token), right)  # type: ignore[misc]
            yield [_decoded(item) for item in page.items]
            token = page.next_page
            if not token:
                return
        raise UnreadableHereError(f"there are more than {PAGES * 500} {resource.plural}, which is too many to sum up")

    async def all(self, resource: Resource, namespace: str) -> list[Any]:
        """Read a list of few."""
        return [item async for page in self.pages(resource, namespace) for item in page]

    async def create(self, resource: Resource, body: Object) -> Object:
        """Ask a question that the API server answers at once and does not keep."""
        return await self._ask(lambda api: api.create(resource, "", body), f"create {resource.plural}{_of(resource)}")

    async def version(self) -> Object:
        """Ask for a sign of life, which must come soon."""
        seconds = self._context.limits.answer

        async def ask(api: Api) -> Object:
            try:
                async with asyncio.timeout(seconds):
                    return await api.version()
            except TimeoutError as error:
                raise UnavailableError(f"no answer within {seconds:g} s") from error

        return await self._ask(ask, "get /version")

    async def _ask(self, call: Callable[[Api], Awaitable[T]], right: str) -> T:
        """Call; `right` names what is missing when it is forbidden.

        Raises UnreadableHereError, AwayError, UnknownClusterError, NotFoundError, or TimeUpError for this cluster.
        """
        if self._away:
            raise AwayError(self._away)

        async def attempt(_tries: int) -> T:
            async with self._places:
                try:
                    return await call(await self._context.clusters.of(self._name))
                except GoneError as error:
                    raise NotYetError(str(error)) from error

        try:
            return await persist(self._context.limits, self._until, attempt)
        except ForbiddenError as error:
            where = f"cluster {self._name}" if self._name else "this cluster"
            if error.reason == "unauthorized":
                raise NotLetInError(f"{where} does not accept the credentials of the executor bridge") from error
            raise UnreadableHereError(f"{where} does not let the executor bridge {right}; grant it that") from error
        except RefusedError as error:
            raise UnreadableHereError(f"the API server does not take the question: {error}") from error
        except TimeUpError as error:
            if not self._name:
                raise
            self._away = f"cluster {self._name} does not answer: {error}"
            raise AwayError(self._away) from error


async def side_by_side(things: Iterable[T], look: Callable[[T], Awaitable[U]]) -> list[U]:
    """Look at each thing, a few at a time; results in the order of the things. Raises the first error, at the end."""
    places = asyncio.Semaphore(SIDE_BY_SIDE)

    async def one(thing: T) -> U:
        async with places:
            return await look(thing)

    results = await asyncio.gather(*(one(thing) for thing in things), return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return results  # type: ignore[return-value]


def _of(resource: Resource) -> str:
    return f".{resource.group}" if resource.group else ""


def _in(namespace: str) -> str:
    return f" in namespace {namespace}" if namespace else ""


def _decoded(item: msgspec.Raw) -> Any:
    try:
        return msgspec.json.decode(item)
    except (msgspec.DecodeError, RecursionError):
        return None
