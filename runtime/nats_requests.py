"""Requests to NATS and their answers, on one inbox of ours for each client, without a task or a queue a request.

Must never take an answer that did not come for "not done": whether it was is then unknown.
"""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING

import msgspec

from runtime.errors import UnavailableError
from runtime.nats_headers import status_of

if TYPE_CHECKING:
    from runtime.nats_client import LeanClient

_NOBODY = 503


class Reply(msgspec.Struct, frozen=True):
    """Answer to a request."""

    headers: bytes
    data: bytes


class NoRespondersError(UnavailableError):
    """Nobody listens on that subject now: nothing was done."""


class _Waiting:
    def __init__(self, client: LeanClient, subject: str) -> None:
        self.client = client
        self.subject = subject
        self.answer: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()

    def fail(self, reason: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(reason)


class Requests:
    """All that wait for an answer, over however many clients one after the other."""

    def __init__(self, prefix: str) -> None:
        """`prefix`: of the inboxes."""
        self._prefix = prefix
        self._tokens = itertools.count()
        self._clients = itertools.count()
        self._inboxes: dict[LeanClient, str] = {}
        self._waiting: dict[str, _Waiting] = {}

    def begin(self, client: LeanClient) -> int:
        """Listen for answers on a new client; return the number of the subscription."""
        self._inboxes[client] = f"{self._prefix}.r{next(self._clients)}"
        return client.listen(f"{self._inboxes[client]}.*", self._answered)

    def end(self, client: LeanClient, reason: str) -> None:
        """Give up what waits for an answer over a client that is no more."""
        self._inboxes.pop(client, None)
        for token in [token for token, each in self._waiting.items() if each.client is client]:
            self._waiting.pop(token).fail(UnavailableError(f"the connection to NATS broke: {reason}"))

    def denied(self, client: LeanClient) -> None:
        """Fail what a client asked and may not: the server says so, and never answers."""
        for each in self._waiting.values():
            if each.client is client and f'"{each.subject.lower()}"' in client.told:
                each.fail(UnavailableError(f"NATS refused {each.subject}: {client.told}"))

    async def all_answered(self, client: LeanClient, seconds: float) -> None:
        """Return when nothing waits over this client any more; `seconds` later in any case."""
        waiting = [each.answer for each in self._waiting.values() if each.client is client]
        if waiting:
            await asyncio.wait(waiting, timeout=seconds)

    async def ask(self, client: LeanClient, subject: str, data: bytes, *, headers: bytes, seconds: float) -> Reply:
        """Send a request and return the answer. Raises NoRespondersError or UnavailableError."""
        token = str(next(self._tokens))
        if not client.send(subject, data, reply=f"{self._inboxes[client]}.{token}", headers=headers):
            message = "not connected to NATS (too much waits to be sent)"
            raise NoRespondersError(message)
        waiting = self._waiting[token] = _Waiting(client, subject)
        timer = asyncio.get_running_loop().call_later(seconds, _expire, waiting, seconds)
        try:
            reply = await waiting.answer
        finally:
            timer.cancel()
            self._waiting.pop(token, None)
        if reply.headers and not reply.data and status_of(reply.headers)[0] == _NOBODY:
            message = f"nobody answers on {subject}: JetStream is away, or what is asked for does not exist"
            raise NoRespondersError(message)
        return reply

    def _answered(self, subject: str, _reply: str, headers: bytes, data: bytes) -> None:
        waiting = self._waiting.get(subject[subject.rindex(".") + 1 :])
        if waiting is not None and not waiting.answer.done():
            waiting.answer.set_result(Reply(headers, data))


def _expire(waiting: _Waiting, seconds: float) -> None:
    told = f" ({waiting.client.told})" if waiting.client.told else ""
    waiting.fail(UnavailableError(f"no answer from NATS on {waiting.subject} in {seconds:g} s{told}"))
