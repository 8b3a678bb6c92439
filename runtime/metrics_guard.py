"""Who may read the metrics: asks the Kubernetes API about each token, and remembers the answer for a while.

Must never log a token nor keep one (only its digest), never let anybody in while the API cannot be asked, and never
make the readiness of the service depend on it: nobody's run waits for a scrape.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from typing import TYPE_CHECKING, Final, Protocol

from runtime.errors import ForbiddenError, KubernautError, UnavailableError
from runtime.kinds import ACCESS_REVIEWS, TOKEN_REVIEWS
from runtime.metrics_memory import Memory
from runtime.metrics_reviews import Verdict, access_review, bearer_token, may_read, reader_of, token_review

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import structlog

    from runtime.metrics_reviews import Reader
    from runtime.ports import Object, Resource

REVIEW_SECONDS: Final = 5.0
"""Longest time of both questions together: half of what Prometheus waits for a scrape by default."""
WAITING: Final = 100
"""Requests that may wait for answers of the API server; each costs a few kilobytes."""


class Reviewer(Protocol):
    """What of a cluster is needed: `runtime.ports.Cluster` has it."""

    async def create(self, resource: Resource, namespace: str, body: Object) -> Object:
        """See `Cluster.create`."""
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...


class Guard:
    """Judges requests by their Authorization header."""

    def __init__(
        self,
        audience: str,
        connect: Callable[[], Awaitable[Reviewer]],
        log: structlog.typing.FilteringBoundLogger,
        *,
        clock: Callable[[], float] = time.monotonic,
        seconds: float = REVIEW_SECONDS,
    ) -> None:
        """`audience`: whom tokens must be meant for. `connect` is called when the first token comes."""
        self._audience = audience
        self._connect = connect
        self._log = log
        self._clock = clock
        self._seconds = seconds
        self._memory = Memory()
        self._connecting = asyncio.Lock()
        self._reviewer: Reviewer | None = None
        self._under_way: dict[bytes, asyncio.Task[Verdict]] = {}
        self._waiting = 0
        self._reason = ""

    async def judge(self, authorization: str) -> Verdict:
        """Say what whoever sent that header is to be told. Those who come with the same token share one review."""
        token = bearer_token(authorization)
        if token is None:
            return Verdict.UNKNOWN
        digest = hashlib.sha256(token.encode()).digest()
        known = self._memory.verdict(digest, self._clock())
        if known is not None:
            return known
        review = self._under_way.get(digest)
        if self._waiting >= WAITING or (review is None and not self._memory.begin(digest, self._clock())):
            return Verdict.CLOSED
        if review is None:
            review = self._under_way[digest] = asyncio.create_task(self._review(digest, token))
        self._waiting += 1
        try:
            return await asyncio.shield(review)  # who hangs up does not end it for the others
        finally:
            self._waiting -= 1

    async def close(self) -> None:
        """End what is under way and close the connections."""
        for review in self._under_way.values():
            review.cancel()
        await asyncio.gather(*self._under_way.values(), return_exceptions=True)
        if self._reviewer is not None:
            await self._reviewer.close()

    async def _review(self, digest: bytes, token: str) -> Verdict:
        verdict = Verdict.CLOSED
        try:
            verdict = await self._ask(token)
        finally:
            del self._under_way[digest]
            self._memory.end(digest, verdict, self._clock())
        return verdict

    async def _ask(self, token: str) -> Verdict:
        try:
            reviewer = await self._connected()
            async with asyncio.timeout(self._seconds):
                reader = await self._reader(reviewer, token)
                if reader is None:
                    verdict = Verdict.UNKNOWN
                else:
                    answer = await reviewer.create(ACCESS_REVIEWS, "", access_review(reader))
                    verdict = Verdict.ALLOWED if may_read(answer) else Verdict.FORBIDDEN
        except TimeoutError:
            self._tell(f"no answer of the Kubernetes API within {self._seconds:g} s")
            return Verdict.CLOSED
        except KubernautError as error:
            if isinstance(error, UnavailableError) and error.retry_after:
                self._memory.rest(self._clock() + error.retry_after)
            self._tell(str(error))
            return Verdict.CLOSED
        self._tell("")
        return verdict

    async def _connected(self) -> Reviewer:
        """Return the connection. Finding the credentials has a time limit of its own, and happens once."""
        async with self._connecting:
            if self._reviewer is None:
                self._reviewer = await self._connect()
            return self._reviewer

    async def _reader(self, reviewer: Reviewer, token: str) -> Reader | None:
        """Ask whose token it is. An error says only of what kind it was, for an answer may hold the token again."""
        try:
            answer = await reviewer.create(TOKEN_REVIEWS, "", token_review(token, self._audience))
        except ForbiddenError:
            raise ForbiddenError("the account of this service may not create tokenreviews") from None
        except KubernautError as error:
            kinds = " of ".join(type(each).__name__ for each in (error, error.__cause__) if each is not None)
            message = f"the Kubernetes API does not say whose token it is: {kinds}"
            raise UnavailableError(message, retry_after=getattr(error, "retry_after", None)) from None
        return reader_of(answer, self._audience)

    def _tell(self, reason: str) -> None:
        """Tell when the API can be asked no more, or again: a line a change, not one a request. Empty: it can."""
        if bool(reason) == bool(self._reason):
            return
        self._reason = reason
        if reason:
            self._log.warning("metrics_closed", reason=reason)
        else:
            self._log.info("metrics_open_again")
